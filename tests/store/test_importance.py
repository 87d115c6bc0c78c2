"""What a study has taught: importance, the best against what was spent, and what was saved."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import InvalidInput, NotFound
from tuner.service import importance, leases, overview, studies
from tuner.service.importance import ImportanceCache
from tuner.spec.messages import Assignment, OutcomeKind, Report, ReportBatch
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

SPACE = {
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "augment.rotate": {"int": [0, 30]},
}


def submit(database: Database, **changes: Any) -> Fleet:
    """A study of forty trials in two dimensions."""
    fleet = Fleet(database)
    search = {"sampler": "random", "trials": 40, "parallel": 40, "pruner": "none"}
    fleet.submit(spec(space=SPACE, search={**search, **changes.pop("search", {})}, **changes))
    return fleet


def report(fleet: Fleet, held: Assignment, *steps: int, **metrics: float) -> None:
    """Report these metrics at each step, with a matrix in which cars are found the more often
    the less they are turned.
    """
    rotate = held.config.augment.options.get("rotate", 0)
    matrix = ((90, 10), (int(rotate), 30 - int(rotate)))
    reports = tuple(
        Report(step=step, metrics=metrics, confusion=matrix, seconds=2.0) for step in steps
    )
    leases.report(
        fleet.db,
        held.lease,
        held.token,
        ReportBatch(reports=reports),
        lease_seconds=60,
        searches=fleet.searches,
    )


def played(database: Database, trials: int = 40, **changes: Any) -> Fleet:
    """Trials whose miou depends on the rotation alone, and whose loss on the weight decay."""
    fleet = submit(database, **changes)
    for _ in range(trials):
        held = fleet.take()
        decay = held.config.optimizer.weight_decay
        rotate = held.config.augment.options.get("rotate", 0)
        report(fleet, held, 1, 2, 3, miou=rotate / 30, train_loss=decay)
        fleet.finish(held)
    return fleet


@pytest.mark.parametrize(
    ("objective", "first"),
    [
        (None, "augment.rotate"),
        ("train_loss", "optimizer.weight_decay"),
        ("recall.car", "augment.rotate"),
    ],
)
def test_importance_is_told_for_any_metric(
    database: Database, objective: str | None, first: str
) -> None:
    """Of the objective, of a reported metric, and of one that only the matrices give."""
    fleet = played(database)
    found = importance.ped_anova(fleet.db, "streets", objective=objective)
    assert (next(iter(found.shares)), found.trials, found.epoch) == (first, 40, 3)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares[first] > 0.7


def test_trials_stopped_at_a_rung_count_there(database: Database) -> None:
    """Where few reach the end, all are compared at the last epoch that enough have reached."""
    pruner = {"name": "promote", "min_step": 1, "eta": 2}
    fleet = submit(database, epochs=9, search={"pruner": pruner})
    for number in range(40):
        held = fleet.take()
        rotate = held.config.augment.options.get("rotate", 0)
        report(fleet, held, 1, miou=rotate / 30)
        if number:
            fleet.finish(held, OutcomeKind.PRUNED)
        else:
            report(fleet, held, *range(2, 10), miou=rotate / 30)
            fleet.finish(held)
    found = importance.ped_anova(database, "streets")
    assert (found.epoch, found.trials) == (1, 40)
    assert next(iter(found.shares)) == "augment.rotate"


def test_several_objectives_are_looked_at_together_or_one_by_one(database: Database) -> None:
    """The front's trials are those of both objectives; each alone has its own first param."""
    both = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    fleet = played(database, objectives=both)
    together = importance.ped_anova(fleet.db, "streets")
    alone = [importance.ped_anova(fleet.db, "streets", objective=g["metric"]) for g in both]
    assert [objective.metric for objective in together.objectives] == ["miou", "train_loss"]
    assert sum(together.shares.values()) == pytest.approx(1)
    assert [next(iter(one.shares)) for one in alone] == ["augment.rotate", "optimizer.weight_decay"]
    assert [one.objectives[0].direction for one in alone] == ["maximize", "minimize"]


def test_fanova_comes_later_and_stays_until_the_study_has_grown(database: Database) -> None:
    """It is ordered once per metric and size; until it is there, PED-ANOVA answers."""
    fleet = played(database, trials=20)
    jobs: list[Callable[[], None]] = []
    cache = ImportanceCache(jobs.append)

    def asked(**metric: str) -> tuple[str, str, int]:
        view = cache.fanova(database, "streets", **metric)
        return view.method, view.state, view.trials

    assert [asked(), asked()] == [("ped_anova", "computing", 20)] * 2
    assert asked(objective="train_loss") == ("ped_anova", "computing", 20)
    assert len(jobs) == 2
    for job in jobs:
        job()
    assert asked() == ("fanova", "ready", 20)
    by_loss = cache.fanova(database, "streets", objective="train_loss")
    assert next(iter(by_loss.shares)) == "optimizer.weight_decay"
    assert by_loss.shares["optimizer.weight_decay"] > 0.7
    for _ in range(5):
        fleet.train(fleet.take())
    assert asked() == ("ped_anova", "computing", 25)


def test_ped_anova_stays_until_the_study_has_grown(database: Database) -> None:
    """A page that is loaded again looks at no trial; one more than a tenth counts in."""
    fleet = played(database, trials=20)
    cache = ImportanceCache(print)
    first = cache.ped_anova(database, "streets")
    fleet.train(fleet.take())
    assert cache.ped_anova(database, "streets") is first
    for _ in range(5):
        fleet.train(fleet.take())
    assert (first.trials, cache.ped_anova(database, "streets").trials) == (20, 26)


def test_the_last_look_is_at_the_whole_study(database: Database) -> None:
    """The end of a study counts, however little it has grown."""
    fleet = played(database, trials=20)
    cache = ImportanceCache(print)
    first = cache.ped_anova(database, "streets")
    fleet.train(fleet.take())
    studies.change(database, "streets", StudyChange(state="cancelled"))
    assert (first.trials, cache.ped_anova(database, "streets").trials) == (20, 21)


def test_both_methods_are_kept_side_by_side(database: Database) -> None:
    """Each has its own view of the same study and metric."""
    played(database, trials=20)
    cache = ImportanceCache(lambda job: job())
    cache.fanova(database, "streets")
    methods = [look(database, "streets").method for look in (cache.ped_anova, cache.fanova)]
    assert methods == ["ped_anova", "fanova"]


def test_fanova_of_a_study_that_was_deleted_is_dropped(database: Database) -> None:
    """Neither the job nor the next question minds; a study of the same name starts anew."""
    played(database, trials=5)
    jobs: list[Callable[[], None]] = []
    cache = ImportanceCache(jobs.append)
    cache.fanova(database, "streets")
    studies.change(database, "streets", StudyChange(state="cancelled"))
    studies.delete(database, "streets")
    jobs.pop()()
    with pytest.raises(NotFound):
        cache.fanova(database, "streets")
    submit(database)
    assert cache.fanova(database, "streets").state == "computing"


def test_fanova_needs_scikit_learn(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without it says what to install."""
    monkeypatch.setattr(importance, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"install segtune\[insight\]"):
        ImportanceCache(print).fanova(database, "streets")


def test_too_few_trials_tell_nothing(database: Database) -> None:
    """No shares are made up before there is anything to compare."""
    fleet = submit(database)
    assert importance.ped_anova(database, "streets").shares == {}
    fleet.train(fleet.take())
    assert importance.ped_anova(database, "streets").shares == {}


def test_an_unknown_metric_is_refused(database: Database) -> None:
    """The message names the nearest."""
    submit(database)
    with pytest.raises(InvalidInput, match=r"iou\.car"):
        importance.ped_anova(database, "streets", objective="iou.cat")


def test_the_history_knows_what_was_spent(database: Database) -> None:
    """Each point carries all epochs and seconds of the study up to there, unfinished ones too."""
    fleet = submit(database)
    first, second = fleet.take("w1"), fleet.take("w2")
    fleet.report(second, 1, 2, value=0.4)
    fleet.train(first, value=0.5)
    fleet.report(second, 3, value=0.6)
    fleet.finish(second)
    points = overview.history(database, "streets")
    assert [(p.trial, p.best, p.epochs, p.device_seconds) for p in points] == [
        (0, 0.5, 5, 10.0),
        (1, 0.6, 6, 12.0),
    ]


def test_what_stopping_early_saved(database: Database) -> None:
    """Epochs that were not trained, and their time at the pace of the trial itself."""
    fleet = submit(database)
    fleet.train(fleet.take())
    stopped = fleet.take()
    fleet.report(stopped, 1)
    fleet.finish(stopped, OutcomeKind.PRUNED)
    view = overview.study(database, "streets")
    assert (view.epochs_saved, view.seconds_saved) == (2, 4.0)
