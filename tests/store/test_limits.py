"""What an admin holds back is given to nobody, and the queue says why; both databases."""

import pytest

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.service import limits, overview
from tuner.service.acting import acting_as
from tuner.service.queue import queue
from tuner.spec.access import (
    EVERYTHING,
    Caller,
    MaintenanceRequest,
    OwnerChange,
    OwnerView,
)
from tuner.spec.fleet import QueueEntry, Why
from tuner.store.engine import Database

SEARCH = {"sampler": "random", "pruner": "none", "trials": 8, "parallel": 8}


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """Workers, a study of ada's and one of nobody's."""
    fleet = Fleet(database)
    with acting_as(Caller("laptop", "ada", EVERYTHING)):
        fleet.submit(spec(name="hers", search=SEARCH, priority=60))
    fleet.submit(spec(name="ours", search=SEARCH))
    return fleet


def entry(fleet: Fleet, study: str) -> QueueEntry:
    """Where a study stands."""
    return next(entry for entry in queue(fleet.db).entries if entry.study == study)


def test_in_maintenance_nobody_gets_a_trial(fleet: Fleet) -> None:
    """What runs goes on to its end; the queue says why, wants no workers, and then gives again."""
    held = fleet.take("w1")
    assert not limits.maintenance(fleet.db).is_on
    limits.begin_maintenance(fleet.db, MaintenanceRequest(reason="new disks"))
    later = limits.begin_maintenance(fleet.db, MaintenanceRequest(reason="new disks until noon"))
    assert later == limits.maintenance(fleet.db)
    assert fleet.ask("w2") is None
    fleet.train(held)
    assert fleet.ask("w1") is None
    found = entry(fleet, "hers")
    assert (found.why, found.ready, found.place) == (Why.MAINTENANCE, 0, None)
    assert found.reason == "the server is in maintenance: new disks until noon"
    assert not limits.end_maintenance(fleet.db).is_on
    limits.end_maintenance(fleet.db)
    assert fleet.take("w2").study == "hers"


def test_an_owner_whose_hours_are_spent_gets_no_trial(fleet: Fleet) -> None:
    """Others do; with more hours, or without a limit, it goes on."""
    limits.limit_owner(fleet.db, "ada", OwnerChange(hours=1))
    held = fleet.take("w1")
    assert held.study == "hers"
    fleet.report(held, 1, seconds=3601)
    assert fleet.take("w2").study == "ours"
    found = entry(fleet, "hers")
    assert (found.why, found.ready) == (Why.OWNER_SPENT, 0)
    assert found.reason == "ada has spent 1 device hour, all there were"
    (ada,) = limits.owners(fleet.db)
    assert ada == OwnerView(owner="ada", studies=1, hours=1.0003, limit=1)
    limits.limit_owner(fleet.db, "ada", OwnerChange(hours=2))
    assert fleet.take("w3").study == "hers"
    limits.limit_owner(fleet.db, "ada", OwnerChange(hours=0))
    assert fleet.take("w4").study == "ours"
    assert limits.limit_owner(fleet.db, "ada", OwnerChange(hours=None)).limit is None
    assert fleet.take("w5").study == "hers"
    assert overview.study(fleet.db, "hers").state == "running"


def test_a_limit_may_come_before_a_study(database: Database) -> None:
    """An owner of nothing yet is listed with it; one that was never limited can be freed."""
    limits.limit_owner(database, "bob", OwnerChange(hours=5))
    assert limits.owners(database) == (OwnerView(owner="bob", studies=0, hours=0, limit=5),)
    assert limits.limit_owner(database, "eve", OwnerChange(hours=None)).limit is None
