"""What networks cost is written down by several servers at once."""

import threading
from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.store.measuring import costs
from tuner.store import measurements
from tuner.store.engine import Database

PLACE = "cpu torch fp32 32×32 threads 1"
_WAITING = text(
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and wait_event_type = 'Lock'"
)


def test_two_servers_that_measured_the_same_do_not_wait_for_each_other(
    postgresql_url: str,
) -> None:
    """Whatever order each writes it in; to both the first that was stored counts."""
    here, there = Database(postgresql_url), Database(postgresql_url)
    told: dict[str, float] = {}
    errors: list[Exception] = []
    has_begun = threading.Event()

    def keep(db: Database, session: Session, name: str, latency: float) -> float:
        known = measurements.keep(session, name, PLACE, costs(latency), now=db.now())
        return known["latency_ms"]

    def other() -> None:
        try:
            with there.transaction() as session:
                told["b"] = keep(there, session, "b", 2.0)
                has_begun.set()
                told["a"] = keep(there, session, "a", 2.0)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=other)
    with here.transaction() as session:
        keep(here, session, "a", 1.0)
        thread.start()
        _until(lambda: has_begun.is_set() or _is_waited_for(here))
        keep(here, session, "b", 1.0)
    thread.join(10)
    assert errors == []
    assert told == {"a": 1.0, "b": 1.0}
    here.dispose()
    there.dispose()


def _is_waited_for(db: Database) -> bool:
    with db.reading() as session:
        return bool(session.scalar(_WAITING))


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if holds():
            return
    raise AssertionError("the other transaction neither went on nor waited")
