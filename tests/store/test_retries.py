"""A failed trial may be tried again: the same params, all its attempts anew, its history kept."""

from typing import Any

import pytest

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.errors import Conflict, NotFound
from tuner.service import leases, overview, retries, studies, upkeep
from tuner.spec.messages import Assignment, Outcome, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

STUDY = "streets"


def study(**changes: Any) -> StudySpec:
    """Three trials, each with two attempts."""
    search = {"sampler": "random", "pruner": "none", "trials": 3, "parallel": 3}
    return spec(STUDY, search=search, **{"resources": {"attempts": 2}, **changes})


def fail(fleet: Fleet, error: str = "boom") -> Assignment:
    """Take a trial, report a step of it and let it fail."""
    held = fleet.take()
    fleet.report(held, 1)
    outcome = Outcome(kind=OutcomeKind.FAILED, step=1, error=error, error_kind="diverged")
    leases.finish(fleet.db, held.lease, held.token, outcome)
    return held


def test_it_waits_again_with_its_params_and_its_history(database: Database) -> None:
    """It is the next to be handed out, goes on where it was, and has completed in the end."""
    fleet = Fleet(database)
    fleet.submit(study())
    before = fail(fleet)

    view = retries.retry(database, STUDY, before.trial)
    again = fleet.take("w2")
    fleet.train(again)
    after = overview.trial(database, STUDY, before.trial)

    assert TrialState.WAITING is view.state
    assert (None, None, None) == (view.error, view.error_kind, view.finished_at)
    assert "tried again by a user" == view.reason
    assert (before.trial, 2, 1) == (again.trial, again.attempt, again.last_step)
    assert before.config == again.config
    assert TrialState.COMPLETED is after.state
    assert ["failed", "completed"] == [attempt.outcome for attempt in after.attempt_history]
    assert "boom" == after.attempt_history[0].error


def test_it_has_all_its_attempts_again(clocked_database: Database, clock: Clock) -> None:
    """Attempts that were lost before do not count; as many may be lost once more."""
    fleet = Fleet(clocked_database)
    fleet.submit(study())
    first = fleet.take()
    number = first.trial
    states = []
    for loss in range(4):
        clock.advance(LEASE_SECONDS + 1)
        upkeep.run(clocked_database)
        states.append(overview.trial(clocked_database, STUDY, number).state)
        if states[-1] is TrialState.FAILED and loss < 3:
            retries.retry(clocked_database, STUDY, number)
        if loss < 3:
            assert number == fleet.take().trial

    assert [TrialState.WAITING, TrialState.FAILED] * 2 == states
    assert 4 == overview.trial(clocked_database, STUDY, number).attempts


def test_the_budget_has_counted_it_already(database: Database) -> None:
    """The study has as many trials as before, and ends when the last of them has."""
    fleet = Fleet(database)
    fleet.submit(study())
    failed = fail(fleet)
    retries.retry(database, STUDY, failed.trial)
    while (held := fleet.ask()) is not None:
        fleet.train(held)
    view = overview.study(database, STUDY)

    assert StudyState.FINISHED is view.state
    assert (3, 0) == (view.counts.completed, view.counts.failed)


def test_a_finished_study_runs_again_for_it(database: Database) -> None:
    """It is running while the trial waits, and finished with it."""
    fleet = Fleet(database)
    fleet.submit(study())
    failed = fail(fleet)
    while (held := fleet.ask()) is not None:
        fleet.train(held)
    assert StudyState.FINISHED is overview.study(database, STUDY).state

    retries.retry(database, STUDY, failed.trial)
    running = overview.study(database, STUDY)
    fleet.train(fleet.take())
    ended = overview.study(database, STUDY)
    history = overview.history(database, STUDY)

    assert (StudyState.RUNNING, 1) == (running.state, running.counts.waiting)
    assert (StudyState.FINISHED, 3) == (ended.state, ended.counts.completed)
    assert failed.trial == history[-1].trial


def test_the_search_takes_its_params_for_taken(database: Database) -> None:
    """Draws go on while it waits, by a search that had seen it fail."""
    fleet = Fleet(database)
    sampler = {"sampler": "tpe", "pruner": "none", "trials": 3, "parallel": 3}
    fleet.submit(spec(STUDY, search=sampler))
    failed = fail(fleet)
    other = fleet.take()
    retries.retry(database, STUDY, failed.trial)

    assert [failed.trial, 2] == [fleet.take().trial, fleet.take().trial]
    fleet.train(other)


@pytest.mark.parametrize("state", ["running", "completed", "cancelled"])
def test_only_a_failed_trial_can_be_tried_again(database: Database, state: str) -> None:
    """What runs, has completed or was cancelled is refused, and says what it is."""
    fleet = Fleet(database)
    fleet.submit(study())
    held = fleet.take()
    if state == "completed":
        fleet.train(held)
    if state == "cancelled":
        studies.cancel_trial(database, STUDY, held.trial)
        fleet.finish(held, OutcomeKind.STOPPED)

    with pytest.raises(Conflict, match=f"trial 0 of 'streets' is {state}; only a failed trial"):
        retries.retry(database, STUDY, held.trial)


def test_nothing_goes_on_in_a_cancelled_study(database: Database) -> None:
    """A study that was ended for good stays so; a clone goes on."""
    fleet = Fleet(database)
    fleet.submit(study())
    failed = fail(fleet)
    studies.change(database, STUDY, StudyChange(state="cancelled"))

    with pytest.raises(Conflict, match="is cancelled; clone it to go on"):
        retries.retry(database, STUDY, failed.trial)


def test_spent_hours_are_raised_first(database: Database) -> None:
    """A study whose hours are spent would end it at once, so it is refused with what to do."""
    fleet = Fleet(database)
    search = {"sampler": "random", "pruner": "none", "trials": 3, "max_hours": 0.0001}
    fleet.submit(spec(STUDY, search=search))
    other = fleet.take()
    failed = fail(fleet)
    fleet.report(other, 1)
    fleet.finish(other, OutcomeKind.STOPPED)

    with pytest.raises(Conflict, match=r"budget of .* is spent; raise it first"):
        retries.retry(database, STUDY, failed.trial)
    studies.change(database, STUDY, StudyChange(max_hours=1))

    assert TrialState.WAITING is retries.retry(database, STUDY, failed.trial).state


def test_an_unknown_trial_is_not_found(database: Database) -> None:
    """A number that no trial has cannot be tried again."""
    Fleet(database).submit(study())

    with pytest.raises(NotFound):
        retries.retry(database, STUDY, 7)


def test_each_attempt_says_why_it_ended_and_on_what(
    clocked_database: Database, clock: Clock
) -> None:
    """What became of the trial, in words, beside the device that trained it."""
    fleet = Fleet(clocked_database)
    fleet.submit(study())
    number = fleet.take().trial
    clock.advance(LEASE_SECONDS + 1)
    upkeep.run(clocked_database)
    fail(fleet, "loss is nan at step 131")
    retries.retry(clocked_database, STUDY, number)
    fleet.train(fleet.take())
    attempts = overview.trial(clocked_database, STUDY, number).attempt_history

    assert ["attempt 1 lost", "diverged: loss is nan at step 131", ""] == [
        attempt.reason for attempt in attempts
    ]
    assert {"cpu"} == {attempt.device.kind for attempt in attempts}
