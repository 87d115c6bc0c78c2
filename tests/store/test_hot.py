"""What many workers say at once costs as many statements as what one says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from tests.store.fleet import Fleet
from tests.store.grouped import share
from tests.store.measuring import MeasuringFleet, deployed
from tests.store.samples import spec
from tests.store.story import assert_story_is_legal
from tuner.service import overview
from tuner.spec.messages import Assignment, OutcomeKind
from tuner.store.engine import Database

WORKERS = 6
SEARCH = {"sampler": "random", "pruner": "none", "trials": 40, "parallel": 40}


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """The SQL that is sent within the block; one for many rows is one."""
    sent = list[str]()

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
            sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield sent
    event.remove(db.engine, "before_cursor_execute", note)


def test_what_a_network_costs_adds_nothing_to_a_report(sqlite_url: str) -> None:
    """A report of a study with a deployment is as many statements as one without; so is a lease of
    the latter, which reads no measurement.
    """
    counts = list[list[str]]()
    for number, document in enumerate((spec("plain"), deployed("placed", constraints=[]))):
        fleet = MeasuringFleet(Database(sqlite_url))
        fleet.submit(document)
        held = fleet.take(f"w{number}", study=document.name)
        if held.measure is not None:
            fleet.tell(held, 20.0)
        fleet.report(held, 1)
        with statements(fleet.db) as sent:
            fleet.report(held, 2)
        counts.append(sent)
        with statements(fleet.db) as sent:
            fleet.take("another", study=document.name)
        assert any("measurements" in each for each in sent) == (document.deployment is not None)
        fleet.db.dispose()
    assert counts[0] == counts[1]


def _report(fleet: Fleet, held: Assignment) -> None:
    fleet.report(held, 1, value=0.5)


def _heartbeat(fleet: Fleet, held: Assignment) -> None:
    fleet.heartbeat(held)


def _finish(fleet: Fleet, held: Assignment) -> None:
    fleet.finish(held, OutcomeKind.PRUNED)


@pytest.mark.parametrize(
    ("say", "most"), [(_report, 8), (_heartbeat, 4), (_finish, 8)], ids=["report", "beat", "end"]
)
def test_a_group_costs_what_one_costs(
    database: Database, say: Callable[[Fleet, Assignment], None], most: int
) -> None:
    """One read of studies, one of leases, and one write a table, however many take part.

    One more is the read of the work that holds the group up until all are there.
    """
    fleet = Fleet(database)
    fleet.submit(spec(search=SEARCH))
    held = [fleet.take(f"w{index}") for index in range(WORKERS + 1)]

    costs = []
    for part in (held[:1], held[1:]):
        with statements(database) as sent:
            answers = share(
                database._group,
                {one.lease: partial(say, fleet, one) for one in part},
            )
        assert [None] * len(part) == list(answers.values())
        costs.append(sent)

    assert len(costs[0]) == len(costs[1]) <= most, costs
    assert_story_is_legal(overview.events(database, "streets", limit=100))


def test_a_mixed_group_is_told_and_stored(database: Database) -> None:
    """Reports, heartbeats, ends and new leases of two studies in one transaction all count."""
    fleet = Fleet(database)
    for name in ("streets", "fields"):
        fleet.submit(spec(name, search=SEARCH))
    held = [
        fleet.take(f"{name}{index}", study=name)
        for name in ("fields", "streets")
        for index in range(3)
    ]
    calls: dict[str, Callable[[], Any]] = {}
    for index in range(2):
        calls[f"take{index}"] = partial(fleet.ask, f"new{index}", study="streets")
    for one, say in zip(held, (_report, _heartbeat, _finish) * 2, strict=True):
        calls[f"{one.study}-{one.trial}"] = partial(say, fleet, one)

    answers = share(database._group, calls)

    taken = {answers[f"take{index}"].trial for index in range(2)}
    assert {3, 4} == taken
    assert all(answers[name] is None for name in calls if not name.startswith("take"))
    for name in ("fields", "streets"):
        assert_story_is_legal(overview.events(database, name, limit=100))
        assert 1 == overview.study(database, name).counts.pruned
        assert 1 == overview.study(database, name).epochs
    done = {worker.name: worker.trials_done for worker in overview.workers(database)}
    assert {"fields2": 1, "streets2": 1} == {name: n for name, n in done.items() if n}
