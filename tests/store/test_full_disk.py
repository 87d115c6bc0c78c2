"""A disk that takes no more is told from everything else that a store may refuse."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from tuner.errors import StorageError, StorageFull, TooLarge
from tuner.store.artifacts import ArtifactStore
from tuner.store.engine import Database

LIMIT = 1000


def fails(number: int) -> Iterator[bytes]:
    """Bytes that end with what a disk says."""
    yield b"some"
    raise OSError(number, "the system's word")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_folder(tmp_path: Path, number: int) -> None:
    """Space and quota; nothing of the file stays."""
    with pytest.raises(StorageFull, match="make room there"):
        ArtifactStore(tmp_path).write(fails(number), sha256=None, limit=LIMIT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_is_not_full(tmp_path: Path) -> None:
    """Another refusal is another error."""
    with pytest.raises(StorageError, match="let the server write there") as caught:
        ArtifactStore(tmp_path).write(fails(errno.EACCES), sha256=None, limit=LIMIT)
    assert not isinstance(caught.value, StorageFull)


def test_a_file_over_the_limit(tmp_path: Path) -> None:
    """It is too large for this server, whose disk is well."""
    with pytest.raises(TooLarge, match="SEGTUNE_MAX_ARTIFACT_MB"):
        ArtifactStore(tmp_path).write([b"x" * LIMIT, b"x"], sha256=None, limit=LIMIT)


def test_no_byte_is_taken_that_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is announced is compared with what is free, also before the folder is there."""
    store = ArtifactStore(tmp_path / "files")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=LIMIT))
    store.require_room(LIMIT)
    with pytest.raises(StorageFull):
        store.require_room(LIMIT + 1)


def test_a_full_sqlite(tmp_path: Path) -> None:
    """SQLite says so when its file may not grow."""
    db = Database(f"sqlite:///{tmp_path}/one.db")

    def fill() -> None:
        with db.transaction() as session:
            connection = session.connection()
            connection.exec_driver_sql("CREATE TABLE heap (bytes)")
            connection.exec_driver_sql("PRAGMA max_page_count=3")
            connection.exec_driver_sql("INSERT INTO heap VALUES (zeroblob(100000))")

    with pytest.raises(StorageFull, match="database"):
        fill()
    db.dispose()


@pytest.mark.parametrize(
    ("said", "is_full"),
    [(psycopg.errors.DiskFull("no space"), True), (psycopg.errors.AdminShutdown("over"), False)],
)
def test_a_full_postgresql(tmp_path: Path, said: psycopg.Error, *, is_full: bool) -> None:
    """PostgreSQL has a code for it."""

    def ask() -> NoReturn:
        raise OperationalError("SELECT clock_timestamp()", {}, said)

    db = Database(f"sqlite:///{tmp_path}/one.db", clock=ask)
    with pytest.raises(StorageError) as caught:
        db.now()
    assert isinstance(caught.value, StorageFull) == is_full
    db.dispose()
