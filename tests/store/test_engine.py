"""Transactions, the clock, and errors in our own words, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from tests.databases import Clock
from tests.store.fleet import Fleet
from tests.store.samples import spec, study_row
from tuner.errors import Conflict, StorageError
from tuner.store.engine import Database, normalize
from tuner.store.tables import Study


def count(db: Database) -> int:
    """Number of studies that are committed."""
    with db.reading() as session:
        return session.scalar(select(func.count()).select_from(Study)) or 0


def test_a_transaction_commits_at_its_end(database: Database) -> None:
    """What was added is there for the next reader."""
    with database.transaction() as session:
        session.add(study_row())
    assert count(database) == 1


def add_and_flush(db: Database, *studies: Study) -> None:
    """Add studies in one transaction, and send them to the database before its end."""
    with db.transaction() as session:
        session.add_all(studies)
        session.flush()


def add_and_fail(db: Database) -> None:
    """Add a study, then raise an error of ours."""
    with db.transaction() as session:
        session.add(study_row())
        session.flush()
        raise Conflict("no")


def test_an_error_undoes_a_transaction(database: Database) -> None:
    """Nothing of a transaction that raised is kept, and the error comes out as it was."""
    with pytest.raises(Conflict):
        add_and_fail(database)
    assert count(database) == 0


def test_a_broken_constraint_is_a_storage_error(database: Database) -> None:
    """The database's refusal comes out as our own error."""
    with pytest.raises(StorageError, match="refused"):
        add_and_flush(database, study_row(), study_row())


def test_writers_do_not_lose_updates(database: Database) -> None:
    """Eight threads that add one under the row's lock add eight."""
    with database.transaction() as session:
        session.add(study_row(spec("counter")))

    def add_one(_: int) -> None:
        with database.transaction() as session:
            study = session.scalars(select(Study).with_for_update()).one()
            study.trial_count += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(8)))
    with database.reading() as session:
        assert session.scalars(select(Study.trial_count)).one() == 8


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    """A reader sees the last committed state while a transaction is open."""
    with database.transaction() as session:
        session.add(study_row())
        session.flush()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(count, database).result(timeout=20) == 0


def test_a_snapshot_is_of_one_moment(database: Database) -> None:
    """What is committed after its first statement is in the next snapshot, not in this one."""
    found = []
    for _ in range(2):
        with database.snapshot() as session:
            found.append(session.scalar(select(func.count()).select_from(Study)))
            with database.transaction() as writing:
                writing.add(study_row(spec(f"study-{len(found)}")))
            found.append(session.scalar(select(func.count()).select_from(Study)))
    assert found == [0, 0, 1, 1]


def test_the_clock_is_utc_and_moves(database: Database) -> None:
    """The database's time is aware, in UTC, and near this machine's in a test."""
    first, second = database.now(), database.now()
    assert first.tzinfo is UTC
    assert first <= second
    assert abs(second - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_clock_can_be_set(clocked_database: Database, clock: Clock) -> None:
    """A simulation decides what time it is."""
    before = clocked_database.now()
    clock.advance(90)
    assert (clocked_database.now() - before).total_seconds() == 90


def test_times_come_back_in_utc(database: Database) -> None:
    """A time of another zone is the same moment when it is read."""
    with database.transaction() as session:
        session.add(study_row(created_at=datetime.fromisoformat("2026-01-01T13:00:00+01:00")))
    with database.reading() as session:
        read = session.scalars(select(Study.created_at)).one()
    assert read.isoformat() == "2026-01-01T12:00:00+00:00"


def test_a_naive_time_is_refused(database: Database) -> None:
    """A time without a zone is a mistake of the caller, not UTC by guess."""
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(StorageError, match="no zone"):
        add_and_flush(database, study_row(created_at=naive))


def test_sqlite_is_set_up_for_safety(sqlite_url: str) -> None:
    """Write-ahead log, full synchronisation, foreign keys, and a long wait for the lock."""
    db = Database(sqlite_url)
    with db.reading() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    db.dispose()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_two_processes_wait_for_sqlite_in_turn(sqlite_url: str) -> None:
    """Two `Database` objects share no lock but SQLite's: the second waits for the first."""
    one, other = Database(sqlite_url), Database(sqlite_url)
    started = threading.Event()

    def write_second() -> None:
        started.set()
        with other.transaction() as session:
            session.add(study_row(spec("second")))

    with ThreadPoolExecutor(1) as pool:
        with one.transaction() as session:
            session.add(study_row(spec("first")))
            session.flush()
            waiting = pool.submit(write_second)
            started.wait()
        waiting.result(timeout=20)
    assert count(one) == 2
    one.dispose()
    other.dispose()


@pytest.mark.parametrize(
    ("url", "spelled"),
    [
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("postgres://u@h/n", "postgresql+psycopg://u@h/n"),
        ("postgresql://u:p@h/n", "postgresql+psycopg://u:p@h/n"),
        ("postgresql+psycopg://u@h/n", "postgresql+psycopg://u@h/n"),
    ],
)
def test_urls_are_spelled_out(url: str, spelled: str) -> None:
    """Every spelling that people use leads to the driver that is installed."""
    assert normalize(url) == spelled


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://h/n"])
def test_other_urls_are_refused(url: str) -> None:
    """What is no URL, or another database, is named in the message."""
    with pytest.raises(StorageError, match="sqlite"):
        normalize(url)


def test_sqlite_in_memory_is_refused() -> None:
    """A database that is gone with its connection is a mistake."""
    with pytest.raises(StorageError, match="path"):
        Database("sqlite://")


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """No server behind the URL is a StorageError."""
    db = Database(f"postgresql://u@/n?host={tmp_path}")
    with pytest.raises(StorageError, match="did not answer"), db.reading() as session:
        session.execute(text("SELECT 1"))
    db.dispose()


def test_a_connection_is_given_back_out_of_its_pipeline(postgresql_url: str) -> None:
    """The thread that gets it next must not find statements of the one before on their way."""
    db, states = Database(postgresql_url), list[tuple[str, str]]()
    fleet = Fleet(db)
    fleet.submit(spec())
    held = fleet.take()

    def note(connection: Any, _: Any) -> None:
        info = connection.info
        states.append((info.pipeline_status.name, info.transaction_status.name))

    event.listen(db.engine.pool, "checkin", note)
    fleet.report(held, 1)
    db.dispose()

    assert set(states) == {("OFF", "IDLE")}
