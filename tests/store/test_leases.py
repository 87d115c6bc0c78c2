"""A lease gives one worker the right to one trial, until it ends; nobody else can write."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tuner.configs.resolve import resolve
from tuner.errors import Conflict, LeaseLost
from tuner.service import overview, studies, upkeep
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import StudyChange
from tuner.store.engine import Database
from tuner.store.tables import Attempt

AGAIN = LEASE_SECONDS + 1


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with one queued study of eight trials."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    return fleet


def test_no_study_no_trial(clocked_database: Database) -> None:
    """A worker that finds nothing to do gets None, and is known from then on."""
    assert Fleet(clocked_database).ask("w1") is None
    assert [worker.name for worker in overview.workers(clocked_database)] == ["w1"]


def test_first_trial_is_the_base_recipe(fleet: Fleet, clock: Clock) -> None:
    """Trial 0 trains what the study's base says; its lease runs from the database's time."""
    held = fleet.take()
    assert (held.trial, held.attempt, held.last_step) == (0, 1, 0)
    assert (held.expires_at - clock()).total_seconds() == LEASE_SECONDS
    document = spec()
    assert held.config == resolve(document.base, document.dataset, {}, seed=held.config.seed)
    assert overview.study(fleet.db, "streets").state is StudyState.RUNNING


def test_a_trial_has_one_holder(fleet: Fleet) -> None:
    """Eight workers get eight trials, and a ninth gets none."""
    held = [fleet.take(f"w{index}") for index in range(8)]
    assert [assignment.trial for assignment in held] == list(range(8))
    assert fleet.ask("w9") is None


def test_parallel_caps_running_trials(clocked_database: Database) -> None:
    """A study with `parallel: 2` has two running trials, and a third once one has ended."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(search={"sampler": "random", "pruner": "none", "trials": 8, "parallel": 2}))
    first, _ = fleet.take("w1"), fleet.take("w2")
    assert fleet.ask("w3") is None
    fleet.train(first)
    assert fleet.take("w3").trial == 2


def test_an_expired_lease_goes_on_elsewhere(fleet: Fleet, clock: Clock) -> None:
    """The next worker gets the same config, the next attempt, and the steps that were stored."""
    lost = fleet.take("w1")
    fleet.report(lost, 1, 2)
    clock.advance(AGAIN)
    assert upkeep.run(fleet.db) == 1
    found = fleet.take("w2")
    assert (found.trial, found.attempt, found.last_step) == (lost.trial, 2, 2)
    assert found.config == lost.config
    assert found.token != lost.token


@pytest.mark.parametrize("write", ["report", "heartbeat", "finish"])
def test_a_stale_worker_cannot_write(fleet: Fleet, clock: Clock, write: str) -> None:
    """Once its trial went on elsewhere, a worker's token opens nothing."""
    stale = fleet.take("w1")
    clock.advance(AGAIN)
    upkeep.run(fleet.db)
    holder = fleet.take("w2")
    writes: dict[str, Callable[[Assignment], object]] = {
        "report": lambda held: fleet.report(held, 1, value=0.99),
        "heartbeat": fleet.heartbeat,
        "finish": lambda held: fleet.finish(held, OutcomeKind.FAILED),
    }
    with pytest.raises(LeaseLost):
        writes[write](stale)
    trial = overview.trial(fleet.db, "streets", holder.trial)
    assert (trial.state, trial.step) == (TrialState.RUNNING, 0)


def test_a_wrong_token_opens_nothing(fleet: Fleet) -> None:
    """The token of one lease is worth nothing at another."""
    first, second = fleet.take("w1"), fleet.take("w2")
    with pytest.raises(LeaseLost):
        fleet.report(first.model_copy(update={"token": second.token}), 1)


def test_tokens_are_stored_as_digests(fleet: Fleet) -> None:
    """Who reads the database cannot pose as a worker."""
    held = fleet.take()
    with fleet.db.reading() as session:
        stored = session.scalars(select(Attempt.token_hash)).one()
    assert held.token not in stored


def test_heartbeats_keep_a_lease(fleet: Fleet, clock: Clock) -> None:
    """A worker that renews in time holds its trial as long as it likes."""
    held = fleet.take()
    for _ in range(5):
        clock.advance(LEASE_SECONDS - 1)
        status = fleet.heartbeat(held)
        assert upkeep.run(fleet.db) == 0
    assert (status.expires_at - clock()).total_seconds() == LEASE_SECONDS


def test_reports_keep_a_lease(fleet: Fleet, clock: Clock) -> None:
    """A report renews the lease like a heartbeat."""
    held = fleet.take()
    for step in (1, 2, 3):
        clock.advance(LEASE_SECONDS - 1)
        fleet.report(held, step)
        assert upkeep.run(fleet.db) == 0


def test_late_but_not_replaced_is_not_lost(fleet: Fleet, clock: Clock) -> None:
    """A lease that ran out unnoticed is renewed by its own worker: no work is thrown away."""
    held = fleet.take()
    clock.advance(AGAIN)
    fleet.report(held, 1)
    assert upkeep.run(fleet.db) == 0
    assert overview.trial(fleet.db, "streets", held.trial).step == 1


def test_too_many_lost_leases_fail_a_trial(clocked_database: Database, clock: Clock) -> None:
    """A trial that loses `resources.attempts` workers is not tried again, and says why."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(resources={"attempts": 2}))
    for attempt in (1, 2):
        held = fleet.take(f"w{attempt}")
        assert (held.trial, held.attempt) == (0, attempt)
        clock.advance(AGAIN)
        upkeep.run(clocked_database)
    trial = overview.trial(clocked_database, "streets", 0)
    assert trial.state is TrialState.FAILED
    assert "2 attempts" in trial.reason


def test_a_trial_given_back_costs_no_attempt(clocked_database: Database) -> None:
    """A worker that shuts down and yields does not bring its trial nearer to failing."""
    fleet = Fleet(clocked_database)
    fleet.submit(spec(resources={"attempts": 1}))
    for attempt in (1, 2, 3):
        held = fleet.take()
        assert (held.trial, held.attempt) == (0, attempt)
        fleet.finish(held, OutcomeKind.YIELDED)
    assert overview.trial(clocked_database, "streets", 0).state is TrialState.WAITING


def test_finishing_twice_is_fine(fleet: Fleet) -> None:
    """A worker whose first `finish` got no answer sends it again; another outcome is refused."""
    held = fleet.take()
    fleet.train(held)
    fleet.finish(held)
    with pytest.raises(LeaseLost):
        fleet.finish(held, OutcomeKind.FAILED)
    assert overview.trial(fleet.db, "streets", 0).state is TrialState.COMPLETED


def test_completed_needs_every_step(fleet: Fleet) -> None:
    """A trial cannot be completed while reports of it are still with its worker."""
    held = fleet.take()
    fleet.report(held, 1, 2)
    with pytest.raises(Conflict, match="2 of 3 epochs"):
        fleet.finish(held)
    fleet.report(held, 3)
    fleet.finish(held)


def test_a_paused_study_asks_workers_to_yield(fleet: Fleet) -> None:
    """Pausing hands out nothing new and gives running trials back; resuming goes on there."""
    held = fleet.take()
    studies.change(fleet.db, "streets", StudyChange(state="paused"))
    assert fleet.ask("w2") is None
    assert fleet.heartbeat(held).verdict.action is Action.YIELD
    fleet.finish(held, OutcomeKind.YIELDED)
    studies.change(fleet.db, "streets", StudyChange(state="running"))
    assert fleet.take("w2").trial == held.trial


def test_a_cancelled_study_tells_workers_to_stop(fleet: Fleet) -> None:
    """Running trials of a cancelled study are told to stop, and end cancelled."""
    held = fleet.take()
    studies.change(fleet.db, "streets", StudyChange(state="cancelled"))
    assert fleet.report(held, 1).verdict.action is Action.STOP
    fleet.finish(held, OutcomeKind.STOPPED)
    assert overview.trial(fleet.db, "streets", 0).state is TrialState.CANCELLED


def test_a_study_ends_with_its_last_trial(fleet: Fleet) -> None:
    """When every trial of the budget has ended, so has the study."""
    for _ in range(8):
        fleet.train(fleet.take())
    view = overview.study(fleet.db, "streets")
    assert view.state is StudyState.FINISHED
    assert (view.counts.completed, view.epochs) == (8, 24)
    assert fleet.ask() is None
