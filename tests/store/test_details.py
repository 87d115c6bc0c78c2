"""What a page shows of a study or a trial is true of one moment."""

from typing import Any

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import InvalidInput, NotFound
from tuner.service import results
from tuner.service.charts.curves import CurveChoice
from tuner.service.details import study_detail, trial_detail
from tuner.service.trial_lists import TrialSelection
from tuner.spec.states import TrialState
from tuner.store.engine import Database

ALL = TrialSelection()


def played(database: Database, **changes: Any) -> Fleet:
    """Three trials that ended, the second one as the best, and one in training."""
    fleet = Fleet(database)
    fleet.submit(spec(**changes))
    for value in (0.4, 0.6, 0.5):
        fleet.train(fleet.take(), value=value)
    fleet.report(fleet.take(), 1, value=0.3)
    return fleet


def test_a_study_is_shown_at_one_moment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens while a page is read shows in all of its parts the next time, in none now."""
    fleet = played(database)
    history = results.history

    def interrupted(*args: Any, **options: Any) -> Any:
        fleet.train(fleet.take("w2"), value=0.9)
        return history(*args, **options)

    monkeypatch.setattr(results, "history", interrupted)
    for ended in (3, 4):
        found = study_detail(database, "streets", ALL)
        assert found.study.counts.ended == len(found.history) == ended
        assert sum(trial.state.has_ended for trial in found.trials.items) == ended
        assert sum(curve.state.has_ended for curve in found.curves.curves) == ended
        assert found.best is not None
        assert found.best.trial == found.study.best_trial == {3: 1, 4: 4}[ended]


def test_a_trial_is_shown_at_one_moment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that comes while its page is read counts nowhere."""
    fleet = Fleet(database)
    fleet.submit(spec())
    held = fleet.take()
    fleet.report(held, 1)
    steps = results.steps

    def interrupted(*args: Any) -> Any:
        fleet.report(held, 2)
        return steps(*args)

    monkeypatch.setattr(results, "steps", interrupted)
    found = trial_detail(database, "streets", held.trial)
    assert (found.trial.step, [step.step for step in found.steps]) == (1, [1])


def test_the_best_curve_is_always_among_those_shown(database: Database) -> None:
    """However many trials have ended since, once and beside the running ones."""
    played(database)
    found = study_detail(database, "streets", ALL, curves=CurveChoice(most=2))
    assert [curve.trial for curve in found.curves.curves] == [1, 3]
    assert found.curves.curves[-1].state is TrialState.RUNNING
    assert (found.curves.best, found.curves.total) == (1, 4)


def test_a_study_without_results_has_a_page(database: Database) -> None:
    """Nothing is made up before a worker asks."""
    Fleet(database).submit(spec())
    found = study_detail(database, "streets", ALL)
    assert (found.best, found.history, found.curves.curves, found.front) == (None, (), (), None)
    assert found.trials.items == ()


def test_the_front_is_there_with_several_objectives(database: Database) -> None:
    """It is empty before a trial has completed."""
    both = [{"metric": "miou"}, {"metric": "train_loss", "direction": "minimize"}]
    Fleet(database).submit(spec(objectives=both))
    found = study_detail(database, "streets", ALL)
    assert found.front is not None
    assert found.front.steps == ()


def test_a_trial_is_shown_beside_trial_0(database: Database) -> None:
    """The base is the config that all others are compared with."""
    played(database)
    base, other = (trial_detail(database, "streets", number) for number in (0, 1))
    assert base.base == base.trial.config == other.base != other.trial.config
    assert [step.step for step in other.steps] == [1, 2, 3]


@pytest.mark.parametrize(
    ("query", "error"),
    [(TrialSelection(sort="iuo"), InvalidInput), (TrialSelection(cursor="bad"), InvalidInput)],
)
def test_a_list_that_cannot_be_is_refused(
    database: Database, query: TrialSelection, error: type[Exception]
) -> None:
    """A sort key or cursor from elsewhere is named."""
    played(database)
    with pytest.raises(error):
        study_detail(database, "streets", query)


def test_what_is_not_there_is_not_found(database: Database) -> None:
    """Neither a study nor a trial is made up."""
    with pytest.raises(NotFound):
        study_detail(database, "streets", ALL)
    played(database)
    with pytest.raises(NotFound):
        trial_detail(database, "streets", 99)
