"""Leases that ran out while nobody listened are their workers' for the time of another lease."""

from datetime import timedelta

import pytest

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tuner.errors import StorageError
from tuner.service import overview, upkeep
from tuner.service.upkeep import Vigil
from tuner.spec.states import TrialState
from tuner.store.engine import Database

AGAIN = LEASE_SECONDS + 1
ROUND = LEASE_SECONDS / 10


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with one queued study."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    return fleet


@pytest.fixture
def vigil() -> Vigil:
    """That of a server that has just started."""
    lease = timedelta(seconds=LEASE_SECONDS)
    return Vigil(lease=lease, gap=lease / 3)


def listen(fleet: Fleet, clock: Clock, vigil: Vigil, seconds: float) -> int:
    """Rounds of upkeep for so long; gives the leases that they released."""
    released = 0
    for _ in range(round(seconds / ROUND)):
        clock.advance(ROUND)
        released += upkeep.run(fleet.db, vigil=vigil)
    return released


def test_a_worker_outlives_an_outage_of_the_server(
    fleet: Fleet, clock: Clock, vigil: Vigil
) -> None:
    """Whose lease ran out before the server was back has the time of a lease to renew it."""
    held = fleet.take()
    clock.advance(5 * AGAIN)
    assert upkeep.run(fleet.db, vigil=vigil) == 0
    assert listen(fleet, clock, vigil, 0.8 * LEASE_SECONDS) == 0
    fleet.report(held, 1)
    assert listen(fleet, clock, vigil, 0.8 * LEASE_SECONDS) == 0
    assert overview.trial(fleet.db, "streets", held.trial).attempts == 1


def test_a_dead_workers_lease_is_released_after_that(
    fleet: Fleet, clock: Clock, vigil: Vigil
) -> None:
    """One that says nothing while the server listens loses its trial, once."""
    held = fleet.take()
    clock.advance(5 * AGAIN)
    assert listen(fleet, clock, vigil, 1.5 * LEASE_SECONDS) == 1
    assert overview.trial(fleet.db, "streets", held.trial).state is TrialState.WAITING


def test_a_server_that_listens_releases_at_once(fleet: Fleet, clock: Clock, vigil: Vigil) -> None:
    """In peace a lease that runs out is released by the next round."""
    listen(fleet, clock, vigil, 2 * LEASE_SECONDS)
    fleet.take()
    assert listen(fleet, clock, vigil, LEASE_SECONDS) == 0
    assert listen(fleet, clock, vigil, 2 * ROUND) == 1


def test_a_break_begins_the_time_anew(fleet: Fleet, clock: Clock, vigil: Vigil) -> None:
    """The process was stopped, or its machine asleep: no living worker loses its trial for that."""
    listen(fleet, clock, vigil, 2 * LEASE_SECONDS)
    held = fleet.take()
    clock.advance(AGAIN)
    assert listen(fleet, clock, vigil, 0.8 * LEASE_SECONDS) == 0
    fleet.heartbeat(held)
    assert listen(fleet, clock, vigil, 0.8 * LEASE_SECONDS) == 0


def test_rounds_without_a_database_do_not_count(
    fleet: Fleet, clock: Clock, vigil: Vigil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose database was away has not listened, however often it tried."""
    listen(fleet, clock, vigil, 2 * LEASE_SECONDS)
    fleet.take()

    def refuse() -> None:
        raise StorageError("the database did not answer")

    with monkeypatch.context() as patched:
        patched.setattr(fleet.db, "reading", refuse)
        listen(fleet, clock, vigil, 2 * LEASE_SECONDS)
    assert listen(fleet, clock, vigil, 0.8 * LEASE_SECONDS) == 0
    assert listen(fleet, clock, vigil, 0.5 * LEASE_SECONDS) == 1
