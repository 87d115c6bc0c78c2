"""A study of higher priority gets workers at the next checkpoint, from trials that lose nothing."""

from typing import Any

import pytest

from tests.databases import Clock
from tests.store.fleet import Fleet
from tests.store.samples import spec
from tests.store.test_promotion import promoting
from tuner.service import fleet as fleet_use
from tuner.service import overview, preemption, studies, upkeep
from tuner.service.queue import queue
from tuner.spec.fleet import QueueEntry, Why
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

SEARCH = {"sampler": "random", "pruner": "none", "trials": 8, "parallel": 8}


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a study of low priority: nothing else is there yet."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec("low", priority=10))
    return fleet


def urgent(trials: int = 1, **changes: Any) -> StudySpec:
    """A study that beats the others, with so many trials."""
    return spec("urgent", **{"priority": 90, "search": {**SEARCH, "trials": trials}, **changes})


def asked(fleet: Fleet, *held: Assignment) -> list[bool]:
    """Whether each of these is to yield, as its next heartbeat says."""
    verdicts = [fleet.heartbeat(each).verdict.action for each in held]
    assert {Action.CONTINUE, Action.YIELD}.issuperset(verdicts)
    return [verdict is Action.YIELD for verdict in verdicts]


def entry(fleet: Fleet, study: str = "urgent") -> QueueEntry:
    """What the queue says of a study."""
    (found,) = (each for each in queue(fleet.db).entries if each.study == study)
    return found


def test_a_worker_changes_over_and_the_trial_goes_on_where_it_was(fleet: Fleet) -> None:
    """The report gets the verdict, the worker takes the urgent trial, and another resumes."""
    held = fleet.take("w1")
    fleet.report(held, 1)
    fleet.submit(urgent())
    assert entry(fleet).why is Why.BUSY
    assert upkeep.run(fleet.db) == 1
    found = entry(fleet)
    assert (found.why, found.preempting) == (Why.PREEMPTING, 1)
    assert (
        found.reason
        == "1 running trial of lower priority makes room for it, at the next checkpoint"
    )
    status = fleet.report(held, 2)
    assert status.verdict.action is Action.YIELD
    assert status.verdict.reason == "it makes room for study 'urgent', whose priority is 90"
    fleet.finish(held, OutcomeKind.YIELDED)
    waiting = overview.trial(fleet.db, "low", held.trial)
    assert (waiting.state, waiting.step) == (TrialState.WAITING, 2)
    assert waiting.reason == status.verdict.reason
    assert fleet.take("w1").study == "urgent"
    again = fleet.take("w2")
    assert (again.study, again.trial, again.last_step) == ("low", held.trial, 2)
    assert upkeep.run(fleet.db) == 0
    assert asked(fleet, again) == [False]


def test_it_costs_no_attempt(clocked_database: Database, clock: Clock) -> None:
    """A trial that may lose no worker makes room as often as it has to."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec("low", priority=10, resources={"attempts": 1}))
    for index in range(3):
        held = fleet.take("w1")
        assert (held.study, held.attempt) == ("low", index + 1)
        fleet.submit(spec(f"urgent-{index}", priority=90, search={**SEARCH, "trials": 1}))
        assert preemption.preempt(fleet.db) == 1
        fleet.finish(held, OutcomeKind.YIELDED)
        fleet.train(fleet.take("w1"))
        clock.advance(1)
    assert overview.trial(fleet.db, "low", 0).state is TrialState.WAITING


@pytest.mark.parametrize(("priority", "yields"), [(9, False), (10, False), (11, True)])
def test_only_a_higher_priority_preempts(fleet: Fleet, priority: int, yields: bool) -> None:
    """An equal one waits for its turn."""
    held = fleet.take("w1")
    fleet.submit(urgent(priority=priority))
    assert preemption.preempt(fleet.db) == yields
    assert asked(fleet, held) == [yields]


def test_as_many_yield_as_are_needed(fleet: Fleet, clock: Clock) -> None:
    """Those that began last, less what free workers take, and no more in a later round."""
    held = list[Assignment]()
    for index in range(4):
        held.append(fleet.take(f"w{index}"))
        clock.advance(1)
    fleet.submit(urgent(trials=3))
    fleet.ask("free", study="none")
    assert preemption.preempt(fleet.db) == 2
    assert asked(fleet, *held) == [False, False, True, True]
    assert preemption.preempt(fleet.db) == 0
    fleet.finish(held[3], OutcomeKind.YIELDED)
    assert preemption.preempt(fleet.db) == 0
    assert [fleet.take("w3").study, fleet.take("free").study] == ["urgent", "urgent"]
    assert preemption.preempt(fleet.db) == 0
    assert asked(fleet, *held[:3]) == [False, False, True]


def test_parallel_bounds_what_is_taken(fleet: Fleet) -> None:
    """A study gets no worker that it could not use."""
    held = [fleet.take(f"w{index}") for index in range(3)]
    fleet.submit(urgent(search={**SEARCH, "parallel": 1}))
    assert preemption.preempt(fleet.db) == 1
    assert sum(asked(fleet, *held)) == 1


@pytest.mark.parametrize("state", ["paused", "cancelled"])
def test_what_is_not_needed_any_more_goes_on(fleet: Fleet, state: str) -> None:
    """Before its worker has heard of it, the trial stays where it is."""
    held = fleet.take("w1")
    fleet.submit(urgent())
    assert preemption.preempt(fleet.db) == 1
    studies.change(fleet.db, "urgent", StudyChange.model_validate({"state": state}))
    assert preemption.preempt(fleet.db) == 1
    assert asked(fleet, held) == [False]
    fleet.train(held)
    assert overview.trial(fleet.db, "low", held.trial).state is TrialState.COMPLETED


def test_a_free_worker_saves_the_trial(fleet: Fleet) -> None:
    """One that comes meanwhile takes what waits."""
    held = fleet.take("w1")
    fleet.submit(urgent())
    assert preemption.preempt(fleet.db) == 1
    assert fleet.take("w2").study == "urgent"
    assert preemption.preempt(fleet.db) == 1
    assert asked(fleet, held) == [False]


def test_a_worker_that_does_not_fit_is_left_alone(fleet: Fleet) -> None:
    """Nor is one that is drained, which would get nothing afterwards."""
    held, drained = fleet.take("w1"), fleet.take("w2")
    fleet_use.drain(fleet.db, "w2")
    fleet.submit(urgent(trials=2, resources={"gpus": 1}))
    assert preemption.preempt(fleet.db) == 0
    fleet.submit(spec("second", priority=80, search={**SEARCH, "trials": 2}))
    assert preemption.preempt(fleet.db) == 1
    assert asked(fleet, held, drained) == [True, False]


def test_a_study_may_keep_its_workers(fleet: Fleet) -> None:
    """`preemptible: false` holds from the start, and can be changed while it runs."""
    held = fleet.take("w1")
    studies.change(fleet.db, "low", StudyChange(preemptible=False))
    fleet.submit(urgent())
    assert preemption.preempt(fleet.db) == 0
    studies.change(fleet.db, "low", StudyChange(preemptible=True))
    assert preemption.preempt(fleet.db) == 1
    assert asked(fleet, held) == [True]


def test_a_server_may_preempt_nothing(fleet: Fleet) -> None:
    """Then studies of higher priority are only first in the queue."""
    held = fleet.take("w1")
    fleet.submit(urgent())
    assert upkeep.run(fleet.db, preempts=False) == 0
    assert asked(fleet, held) == [False]


def test_a_worker_that_takes_nothing_of_the_study_is_not_asked_again(
    fleet: Fleet, clock: Clock
) -> None:
    """One that works for another study alone yields once, not each time; after an hour again."""
    held = fleet.take("w1", study="low")
    fleet.submit(urgent())
    assert preemption.preempt(fleet.db) == 1
    fleet.finish(held, OutcomeKind.YIELDED)
    clock.advance(1)
    held = fleet.take("w1", study="low")
    assert preemption.preempt(fleet.db) == 0
    clock.advance(3601)
    assert preemption.preempt(fleet.db) == 1
    assert asked(fleet, held) == [True]


def test_a_worker_that_took_its_trial_is_asked_again(fleet: Fleet, clock: Clock) -> None:
    """What it did for the study shows that it works for it."""
    held = fleet.take("w1")
    fleet.submit(urgent(trials=2, search={**SEARCH, "trials": 2, "parallel": 1}))
    preemption.preempt(fleet.db)
    fleet.finish(held, OutcomeKind.YIELDED)
    clock.advance(1)
    first = fleet.take("w1")
    again = fleet.take("w1", study="low")  # it works on two at once
    assert preemption.preempt(fleet.db) == 0
    fleet.train(first)
    assert preemption.preempt(fleet.db) == 1
    assert asked(fleet, again) == [True]


def test_a_trial_that_is_done_but_for_its_end_is_left_alone(fleet: Fleet) -> None:
    """Its worker is free in a moment, so that no other has to yield either."""
    done, held = fleet.take("w1"), fleet.take("w2")
    fleet.report(done, 1, 2, 3)
    fleet.submit(urgent())
    assert preemption.preempt(fleet.db) == 0
    assert asked(fleet, done, held) == [False, False]
    fleet.finish(done)
    assert fleet.take("w1").study == "urgent"


def test_a_rung_judges_also_what_is_to_yield(clocked_database: Database) -> None:
    """A trial that would pause at its next report pauses: it does not wait for a worker."""
    fleet = Fleet(clocked_database)
    low = promoting().model_copy(update={"priority": 10})
    fleet.submit(low)
    base, held = fleet.take("w1"), fleet.take("w2")
    fleet.submit(urgent(trials=2))
    assert preemption.preempt(fleet.db) == 2
    assert fleet.report(base, 1, 2).verdict.action is Action.YIELD
    assert fleet.report(held, 1).verdict.action is Action.YIELD
    assert fleet.report(held, 2).verdict.action is Action.PAUSE
    fleet.finish(held, OutcomeKind.YIELDED)
    assert overview.trial(fleet.db, "streets", held.trial).state is TrialState.PAUSED


def test_a_worker_that_is_lost_after_all_counts(fleet: Fleet, clock: Clock) -> None:
    """What ends without a word is lost, asked or not; the trial waits as ever."""
    held = fleet.take("w1")
    fleet.submit(urgent())
    preemption.preempt(fleet.db)
    clock.advance(61)
    upkeep.run(fleet.db)
    trial = overview.trial(fleet.db, "low", held.trial)
    assert (trial.state, trial.reason) == (TrialState.WAITING, "attempt 1 lost")
