"""A study in which everything failed is failed, with the first failure's text as its reason."""

from typing import Any

import pytest

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.errors import NotFound
from tuner.service import leases, lifecycle, overview, studies, upkeep
from tuner.spec.failures import gist
from tuner.spec.messages import Assignment, Outcome, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import StudyChange
from tuner.store import studies as study_rows
from tuner.store.engine import Database

SMALL = {"sampler": "random", "pruner": "none", "trials": 3}
TEXT = "the training split has 3 images and batch_size is 4; choose batch_size 3 or less"
TRACE = "\n\nTraceback (most recent call last):\n  File 'train.py', line 1\nDataError: …\n"


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with a queued study of three trials."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search=SMALL))
    return fleet


def fail(
    fleet: Fleet, held: Assignment | None = None, text: str = TEXT, kind: str = "data"
) -> None:
    """Let a trial fail with a text."""
    held = held or fleet.take()
    outcome = Outcome(kind=OutcomeKind.FAILED, error=text + TRACE, error_kind=kind)
    leases.finish(fleet.db, held.lease, held.token, outcome)


def test_a_study_whose_every_trial_failed_is_failed(fleet: Fleet) -> None:
    """The reason holds the text of the first failure, not its traceback, and what to do."""
    fail(fleet)
    fail(fleet, text="something else")
    assert overview.study(fleet.db, "streets").state is StudyState.RUNNING
    fail(fleet, text="something else")
    view = overview.study(fleet.db, "streets")
    assert view.state is StudyState.FAILED
    assert view.reason == (
        f"all 3 trials failed alike: trial 0 (data): {TEXT}; correct the study and submit it anew"
    )
    assert [one.reason for one in overview.studies(fleet.db).items] == [view.reason]


def test_too_many_first_failures_tell_their_text_too(clocked_database: Database) -> None:
    """A study that gives up early says why, and lets no trial wait for ever."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 8, "max_failures": 2}))
    studies.enqueue(clocked_database, "streets", {})
    studies.enqueue(clocked_database, "streets", {})
    studies.enqueue(clocked_database, "streets", {})
    fail(fleet)
    fail(fleet)
    view = overview.study(clocked_database, "streets")
    assert view.state is StudyState.RUNNING, "a trial that waits may succeed"
    fail(fleet)
    view = overview.study(clocked_database, "streets")
    assert view.state is StudyState.FAILED
    assert view.reason.startswith(f"the first 3 trials failed alike: trial 0 (data): {TEXT}")


@pytest.mark.parametrize("kind", [OutcomeKind.COMPLETED, OutcomeKind.PRUNED])
def test_one_result_among_failures_is_a_finished_study(fleet: Fleet, kind: OutcomeKind) -> None:
    """What was trained, or stopped early with true reports, is a result."""
    held = fleet.take()
    fleet.report(held, 1, 2, 3)
    fleet.finish(held, kind)
    fail(fleet)
    fail(fleet)
    assert overview.study(fleet.db, "streets").state is StudyState.FINISHED


def test_a_study_whose_trials_lost_their_workers_says_so(clocked_database: Database) -> None:
    """A failure without an error text is told by the reason of its trial."""
    fleet = Fleet(clocked_database)
    search = {**SMALL, "trials": 1}
    fleet.submit(spec(search=search, resources={"attempts": 1}))
    fleet.finish(fleet.take(), OutcomeKind.CRASHED)
    view = overview.study(clocked_database, "streets")
    assert view.state is StudyState.FAILED
    assert view.reason.startswith("its only trial failed: trial 0: 1 attempt was lost")


def test_hours_that_are_spent_on_failures_alone_are_a_failure(
    clocked_database: Database, clock: Clock
) -> None:
    """The reason tells both."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 8, "max_wall_hours": 1.0}))
    first, second = fleet.take("w1"), fleet.take("w2")
    fail(fleet, first)
    clock.advance(4000)
    fail(fleet, second)
    view = overview.study(clocked_database, "streets")
    assert view.state is StudyState.FAILED
    assert "since its first trial has passed, and all 2 trials failed alike: trial 0" in view.reason


def test_a_smaller_budget_after_failures_alone_is_a_failure(fleet: Fleet) -> None:
    """However a study comes to its end, it has not finished without a result."""
    fail(fleet)
    studies.change(fleet.db, "streets", StudyChange(trials=1))
    assert overview.study(fleet.db, "streets").state is StudyState.FAILED


def test_what_users_ended_is_no_failure(fleet: Fleet) -> None:
    """Trials that were cancelled by hand leave a finished study."""
    for _ in range(3):
        held = fleet.take()
        studies.cancel_trial(fleet.db, "streets", held.trial)
        fleet.finish(held, OutcomeKind.STOPPED)
    assert overview.study(fleet.db, "streets").state is StudyState.FINISHED


def test_a_failed_study_lets_nothing_wait(fleet: Fleet) -> None:
    """Its waiting trials are cancelled, each with the reason."""
    studies.enqueue(fleet.db, "streets", {})
    studies.change(fleet.db, "streets", StudyChange(state="paused"))
    studies.change(fleet.db, "streets", StudyChange(state="running"))
    with fleet.db.transaction() as session:
        row = study_rows.lock(session, "streets")
        lifecycle.fail(session, row, "no luck", now=fleet.db.now())
    (trial,) = overview.trials(fleet.db, "streets").items
    assert (trial.state, trial.reason) == (TrialState.CANCELLED, "the study failed")


def test_there_is_no_best_of_a_failed_study(fleet: Fleet) -> None:
    """Who asks for the best configuration hears why there is none, not to ask again."""
    for _ in range(3):
        fail(fleet)
    with pytest.raises(NotFound) as caught:
        overview.best(fleet.db, "streets")
    assert f"study 'streets' failed: all 3 trials failed alike: trial 0 (data): {TEXT}" in str(
        caught.value
    )
    assert "sk again" not in str(caught.value)


def test_lists_hold_the_message_and_the_trial_the_whole_text(fleet: Fleet) -> None:
    """A page of trials is not made of tracebacks."""
    fail(fleet)
    (listed,) = overview.trials(fleet.db, "streets").items
    assert (listed.error, listed.error_kind) == (TEXT, "data")
    assert overview.trial(fleet.db, "streets", 0).error == TEXT + TRACE


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (TEXT + TRACE, TEXT),
        ("one\n  two\n\nthree", "one two"),
        ("Traceback (most recent call last):\n  x\n\nValueError: no\n", "ValueError: no"),
        ("", ""),
        ("   \n", ""),
        ("a" * 500, "a" * 299 + "…"),
    ],
)
def test_the_gist_of_an_error_is_its_message_in_one_line(text: Any, short: str) -> None:
    """Without the traceback, whichever way round the two stand."""
    assert gist(text) == short


def test_failures_of_several_kinds_are_named_by_kind(fleet: Fleet) -> None:
    """Not alike: the first one's text, and which trials failed otherwise."""
    fail(fleet)
    fail(fleet, text="a step gave nan", kind="diverged")
    fail(fleet, text="a step gave nan", kind="diverged")
    view = overview.study(fleet.db, "streets")
    assert view.reason == (
        f"all 3 trials failed: trial 0 (data): {TEXT}; and otherwise trial 1 and trial 2 "
        "(diverged); correct the study and submit it anew"
    )


def test_a_trial_that_takes_down_every_worker_is_named(clocked_database: Database) -> None:
    """It ends after its attempts, and the reason says whom it took down."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 1}, resources={"attempts": 3}))
    for worker in ("w1", "w2", "w1"):
        fleet.finish(fleet.take(worker), OutcomeKind.CRASHED)
    trial = overview.trial(clocked_database, "streets", 0)
    assert trial.state is TrialState.FAILED
    assert trial.reason == (
        "3 attempts were lost on w1 and w2: it takes down every worker that trains it; "
        "the last one crashed"
    )


def test_a_trial_handed_back_uses_up_no_attempt(clocked_database: Database) -> None:
    """Preemption and drain end an attempt, and count for nothing."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 1}, resources={"attempts": 1}))
    for _ in range(3):
        fleet.finish(fleet.take(), OutcomeKind.YIELDED)
    assert overview.trial(clocked_database, "streets", 0).state is TrialState.WAITING


def test_a_trial_whose_worker_is_lost_says_so(clocked_database: Database, clock: Clock) -> None:
    """Nothing was heard: that has a code of its own, which the study's reason tells."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 1}, resources={"attempts": 1}))
    fleet.take("w1")
    clock.advance(LEASE_SECONDS + 1)
    upkeep.run(clocked_database)
    trial = overview.trial(clocked_database, "streets", 0)
    assert (trial.state, trial.error_kind) == (TrialState.FAILED, "lost_worker")
    assert "trial 0 (lost_worker): 1 attempt was lost on w1" in (
        overview.study(clocked_database, "streets").reason or ""
    )


def test_first_failures_alike_end_a_study_before_its_budget(clocked_database: Database) -> None:
    """Numbers and paths may differ; its reason, event and summary say kind, text and remedy."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 60, "max_failures": 50}))
    last = fleet.take("w9")
    for number, place in enumerate(("/a/1.png", "/b/b.png", "/c/77.png")):
        assert overview.study(clocked_database, "streets").state is StudyState.RUNNING
        fail(fleet, text=f"mask {place} has label {250 + number}")

    view = overview.study(clocked_database, "streets")
    events = overview.events(clocked_database, "streets")
    verdict = fleet.heartbeat(last).verdict
    assert view.state is StudyState.FAILED
    assert view.reason == (
        "the first 3 trials failed alike: trial 1 (data): mask /a/1.png has label 250; correct the "
        "files, or what the study says of them, and submit it anew"
    )
    assert [one.data["reason"] for one in events if one.kind == "study.finished"] == [view.reason]
    assert (verdict.action, verdict.reason) == ("stop", "the study was failed")


def test_failures_that_differ_go_on_to_max_failures(clocked_database: Database) -> None:
    """What cannot be told from three of them is left to the user's number."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 60, "max_failures": 4}))
    states = []
    for text in ("first", "second", "third", "fourth"):
        fail(fleet, text=text)
        states.append(overview.study(clocked_database, "streets").state)
    assert states == [*[StudyState.RUNNING] * 3, StudyState.FAILED]


@pytest.mark.parametrize("how", ["completed", "pruned", "reported"])
def test_a_study_that_can_be_trained_is_not_ended_for_its_failures(
    clocked_database: Database, how: str
) -> None:
    """One result, or one epoch of a trial that goes on, shows that it can."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 60}))
    held = fleet.take("w9")
    fleet.report(held, 1)
    if how == "completed":
        fleet.train(held.model_copy(update={"last_step": 1}))
    elif how == "pruned":
        fleet.finish(held, OutcomeKind.PRUNED)
    for _ in range(3):
        fail(fleet, kind="exception")
    assert overview.study(clocked_database, "streets").state is StudyState.RUNNING


def test_trials_that_take_down_every_worker_end_their_study(
    clocked_database: Database, clock: Clock
) -> None:
    """Three trials that lost all their attempts, without one epoch of any, name what to look at."""
    fleet = Fleet(clocked_database)
    search = {**SMALL, "trials": 60, "parallel": 3}
    fleet.submit(spec(search=search, resources={"attempts": 2}))
    for _ in range(2):
        assert overview.study(clocked_database, "streets").state is not StudyState.FAILED
        for worker in ("w1", "w2", "w3"):
            fleet.take(worker)
        clock.advance(LEASE_SECONDS + 1)
        upkeep.run(clocked_database)
    view = overview.study(clocked_database, "streets")
    assert view.state is StudyState.FAILED
    assert view.reason.startswith("the first 3 trials failed alike: trial 0 (lost_worker): 2 ")
    assert "what ended them, memory first" in view.reason


def test_what_is_handed_back_is_no_failure(clocked_database: Database) -> None:
    """However often trials are preempted or their workers drained, their study goes on."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={**SMALL, "trials": 60}, resources={"attempts": 1}))
    for _ in range(4):
        held = [fleet.take(f"w{one}") for one in range(3)]
        for each in held:
            fleet.finish(each, OutcomeKind.YIELDED)
    view = overview.study(clocked_database, "streets")
    assert (view.state, view.counts.failed) == (StudyState.RUNNING, 0)
