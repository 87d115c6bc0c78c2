"""Trials that are paused at a rung, and promoted from there, through the use cases of workers."""

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.service import overview, studies, upkeep
from tuner.service.searches import Searches
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

RUNG = 2  # of nine epochs: 2 and 6


def promoting(trials: int = 4, *, sampler: str = "random", parallel: int = 8) -> StudySpec:
    """A study of nine epochs that pauses at 2 and 6."""
    search = {"sampler": sampler, "pruner": "promote", "trials": trials, "parallel": parallel}
    return spec(
        epochs=9, base={"training": {"epochs": 9}, "schedule": {"warmup": 0}}, search=search
    )


def opened(database: Database, document: StudySpec | None = None) -> Fleet:
    """A fleet whose first worker holds trial 0, the base recipe, which is never judged."""
    fleet = Fleet(database)
    fleet.submit(document or promoting())
    assert fleet.take("base").trial == 0
    return fleet


def to_rung(fleet: Fleet, value: float, *, rung: int = RUNG) -> Assignment:
    """Train the next trial up to a rung, and obey the verdict if it is to pause."""
    held = fleet.take()
    status = fleet.report(held, *range(held.last_step + 1, rung + 1), value=value)
    if status.verdict.action is Action.PAUSE:
        fleet.finish(held, OutcomeKind.PAUSED)
    return held


def states(fleet: Fleet) -> list[TrialState]:
    """State of each trial, by number."""
    return [trial.state for trial in overview.trials(fleet.db, "streets").items]


def test_a_free_worker_takes_a_promotable_trial_before_a_new_one(database: Database) -> None:
    """The best of three goes on where it stood, on any worker, once the third has reported."""
    fleet = opened(database, promoting(5))
    for value in (0.1, 0.9, 0.2):
        to_rung(fleet, value)
    assert states(fleet) == [TrialState.RUNNING, *[TrialState.PAUSED] * 3]
    held = fleet.take("another")
    assert (held.trial, held.last_step, held.attempt) == (2, RUNG, 2)
    reason = overview.trial(database, "streets", 2).attempt_history[-1]
    assert reason.worker == "another"
    assert fleet.take().trial == 4


def test_a_trial_that_leads_at_its_rung_goes_on_in_place(database: Database) -> None:
    """Its worker is told to continue, and nobody else is given it."""
    fleet = opened(database)
    to_rung(fleet, 0.1)
    to_rung(fleet, 0.2)
    held = fleet.take()
    assert fleet.report(held, 1, 2, value=0.3).verdict.action is Action.CONTINUE
    fleet.report(held, 3, 4, 5, 6, 7, 8, 9, value=0.3)


def test_the_base_recipe_is_trained_to_its_end(database: Database) -> None:
    """Whatever others reached: a study never reports worse than the textbook."""
    fleet = Fleet(database)
    fleet.submit(promoting())
    base = fleet.take()
    for value in (0.7, 0.8, 0.9):
        to_rung(fleet, value)
    assert fleet.report(base, *range(1, 10), value=0.0).verdict.action is Action.CONTINUE


def test_a_study_ends_when_nobody_is_to_be_promoted(database: Database) -> None:
    """Its leader is completed like the base, the others end as pruned, with their reasons."""
    fleet = Fleet(database)
    fleet.submit(promoting(4))
    value = 0.9
    while (held := fleet.ask()) is not None:
        for step in range(held.last_step + 1, 10):
            if fleet.report(held, step, value=value - abs(held.trial - 1) / 10).verdict.action is (
                Action.PAUSE
            ):
                fleet.finish(held, OutcomeKind.PAUSED)
                break
        else:
            fleet.finish(held)
    assert overview.study(database, "streets").state is StudyState.FINISHED
    assert states(fleet) == [*[TrialState.COMPLETED] * 2, *[TrialState.PRUNED] * 2]
    assert overview.trial(database, "streets", 3).reason == (
        "miou 0.700 at epoch 2 is below the best third of 4 trials (0.900); the search ended"
    )


def test_a_trial_lost_after_its_verdict_stays_paused(
    clocked_database: Database, clock: Clock
) -> None:
    """A worker that dies on its way back from a rung does not carry the trial beyond it."""
    fleet = opened(clocked_database)
    held = fleet.take()
    fleet.report(held, 1, 2, value=0.1)
    clock.advance(LEASE_SECONDS + 1)
    upkeep.run(clocked_database)
    assert states(fleet) == [TrialState.WAITING, TrialState.PAUSED]
    assert [fleet.take().trial, fleet.take().trial] == [0, 2]


def test_a_larger_budget_lets_a_closing_study_draw_again(database: Database) -> None:
    """New trials are compared with those that stand at the rung."""
    fleet = opened(database, promoting(2))
    held = fleet.take()
    fleet.report(held, 1, 2, value=0.1)
    studies.change(database, "streets", StudyChange(trials=6))
    assert fleet.take().trial == 2


def test_a_promoting_study_repeats_across_a_restart(database: Database) -> None:
    """Draws, verdicts and promotions depend on the store alone, not on what a server remembers."""

    def story(name: str, *, restarts: bool) -> list[tuple[int, int, str]]:
        fleet, told = Fleet(database), list[tuple[int, int, str]]()
        fleet.submit(promoting(24, sampler="auto", parallel=1).model_copy(update={"name": name}))
        while (held := fleet.ask(study=name)) is not None:
            if restarts:
                fleet.searches = Searches()
            told.append((held.trial, held.last_step, str(held.config.optimizer)))
            rate = held.config.optimizer.lr
            for step in range(held.last_step + 1, 10):
                status = fleet.report(held, step, value=1 - rate + step / 100)
                if status.verdict.action is Action.PAUSE:
                    fleet.finish(held, OutcomeKind.PAUSED)
                    break
            else:
                fleet.finish(held)
        return told

    assert story("one", restarts=True) == story("two", restarts=False)


def test_a_rung_that_says_nothing_of_the_next_is_told_once(database: Database) -> None:
    """Ten trials whose order turns round between the rungs: the study's owner is warned."""
    fleet = Fleet(database)
    document = promoting(20)
    pruner = {"name": "asha", "eta": 16, "min_step": 2}
    search = document.search.model_dump() | {"pruner": pruner}
    fleet.submit(spec(epochs=9, base={"training": {"epochs": 9}}, search=search))
    for number in range(12):
        held = fleet.take()
        for step in range(1, 10):
            value = number / 20 if step == RUNG else 1 - number / 20
            if fleet.report(held, step, value=value).verdict.action is not Action.CONTINUE:
                break
        else:
            fleet.finish(held)
    (warning,) = overview.study(database, "streets").warnings
    assert "epoch 2 say little about epoch 9" in warning
    told = [one for one in overview.events(database, "streets") if one.kind == "study.warned"]
    assert len(told) == 1
