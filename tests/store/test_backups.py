"""A backup holds all that there is at one moment, and comes back as it was, or not at all."""

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from tests import postgres
from tests.store.fleet import Fleet
from tuner.errors import Conflict, PackageMissing, StorageError
from tuner.store import backups
from tuner.store.engine import Database
from tuner.store.migrate import head, revision
from tuner.store.tables import Base

Rows = dict[str, list[Any]]


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs, of the same release as the tests' server."""
    where = next((each for each in postgres.programs() if (each / "pg_dump").exists()), None)
    if where is not None:
        monkeypatch.setenv("PATH", f"{where}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a backup is written."""
    return tmp_path / "backups" / "segtune.backup"


def _fill(url: str) -> None:
    """Two studies, one of them with a trained trial and one that is under way."""
    db = Database(url)
    fleet = Fleet(db)
    fleet.submit()
    fleet.train(fleet.take())
    fleet.report(fleet.take(), 1)
    db.dispose()


def _rows(url: str) -> Rows:
    db = Database(url)
    try:
        with db.reading() as session:
            return {
                table.name: sorted(map(repr, session.execute(select(table))))
                for table in Base.metadata.sorted_tables
            }
    finally:
        db.dispose()


def _saved(url: str, file: Path) -> Rows:
    """A filled database and its backup; gives what was in it."""
    _fill(url)
    file.parent.mkdir(exist_ok=True)
    assert backups.save(url, file) == head()
    return _rows(url)


def test_what_was_saved_comes_back(database_url: str, file: Path) -> None:
    """Every row of every table; what came since then is gone; and rows go on being numbered."""
    before = _saved(database_url, file)
    _fill_more(database_url)
    assert _rows(database_url) != before
    assert backups.restore(database_url, file, force=True) == head()
    assert _rows(database_url) == before
    _fill_more(database_url)
    assert len(_rows(database_url)["studies"]) == 2


def _fill_more(url: str) -> None:
    from tests.store.samples import spec

    db = Database(url)
    fleet = Fleet(db)
    fleet.submit(spec("second"))
    fleet.train(fleet.take(study="second"))
    db.dispose()


def test_a_server_that_runs_is_saved_as_it_is(database_url: str, file: Path) -> None:
    """A transaction under way is not in it, and is not disturbed."""
    before = _saved(database_url, file)
    db = Database(database_url)
    with db.transaction() as session:
        session.execute(text("UPDATE studies SET name = 'changed'"))
        backups.save(database_url, file)
    db.dispose()
    backups.restore(database_url, file, force=True)
    assert _rows(database_url) == before


def test_no_database_is_replaced_unasked(database_url: str, file: Path) -> None:
    """It is refused, says what is there, and nothing has changed."""
    before = _saved(database_url, file)
    with pytest.raises(Conflict, match=r"not empty \(studies: 1\); .*--force"):
        backups.restore(database_url, file)
    assert _rows(database_url) == before


def test_nothing_is_replaced_under_a_server(
    database_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the database open must end first."""
    monkeypatch.setattr("tuner.store.postgresql_backup._LEAVING_SECONDS", 0)
    before = _saved(database_url, file)
    db = Database(database_url)
    with db.reading() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(Conflict, match="end the server"):
            backups.restore(database_url, file, force=True)
    db.dispose()
    assert _rows(database_url) == before


@pytest.mark.parametrize("broken", ["cut", "newer", "nothing", "text", "foreign"])
def test_only_whole_backups_of_ours_are_taken(
    database_url: str, file: Path, tmp_path: Path, broken: str
) -> None:
    """Damaged ones, those of a newer release and other files change nothing."""
    before = _saved(database_url, file)
    if broken == "nothing":
        file.unlink()
    elif broken == "text":
        file.write_text("my thesis")
    elif broken == "cut":
        os.truncate(file, file.stat().st_size * 2 // 3)
    else:
        statement = {"newer": "UPDATE alembic_version SET version_num = '9999'",
                     "foreign": "DELETE FROM alembic_version"}[broken]  # fmt: skip
        back = statement.split(" SET ")[0] + f" SET version_num = '{head()}'"
        if broken == "foreign":
            back = f"INSERT INTO alembic_version VALUES ('{head()}')"
        _save_changed(database_url, file, statement, back)
    with pytest.raises(StorageError, match=str(file)):
        backups.restore(database_url, file, force=True)
    assert _rows(database_url) == before


def _save_changed(url: str, file: Path, statement: str, back: str) -> None:
    """A backup of a database of which nobody could make one."""
    db = Database(url)
    with db.transaction() as session:
        session.execute(text(statement))
    backups._KINDS[backups._kind(url)].save(db.url, file)
    with db.transaction() as session:
        session.execute(text(back))
    db.dispose()


def test_a_file_that_is_no_backup_is_kept(database_url: str, file: Path) -> None:
    """A backup takes the place of an earlier one only; and only its owner reads it."""
    _saved(database_url, file)
    backups.save(database_url, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    file.write_text("my thesis")
    with pytest.raises(Conflict, match="not a backup"):
        backups.save(database_url, file)
    assert file.read_text() == "my thesis"


def test_a_database_without_tables_is_not_saved(sqlite_url: str, file: Path) -> None:
    """There is nothing in it."""
    with pytest.raises(StorageError, match="no tables"):
        backups.save(f"{sqlite_url}.other", file)


def test_a_backup_fills_an_empty_place(database_url: str, file: Path, tmp_path: Path) -> None:
    """A database that was lost is made anew, without a force."""
    before = _saved(database_url, file)
    _empty(database_url)
    backups.restore(database_url, file)
    assert _rows(database_url) == before


def _empty(url: str) -> None:
    if url.startswith("sqlite"):
        for each in Path(url.removeprefix("sqlite:///")).parent.glob("segtune.db*"):
            each.unlink()
        return
    db = Database(url)
    with db.transaction() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    db.dispose()
    assert revision(url) is None


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_database_is_replaced(sqlite_url: str, file: Path) -> None:
    """What is left beside it does not come back either."""
    before = _saved(sqlite_url, file)
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.write_bytes(b"\0" * 5000)
    path.with_name("segtune.db-wal").write_bytes(b"\1" * 5000)
    with pytest.raises(Conflict, match="--force"):
        backups.restore(sqlite_url, file)
    backups.restore(sqlite_url, file, force=True)
    assert _rows(sqlite_url) == before


def test_a_database_is_not_its_own_backup(sqlite_url: str) -> None:
    """Neither way."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    for work in (backups.save, backups.restore):
        with pytest.raises(Conflict, match=r"database itself|not a backup"):
            work(sqlite_url, path)


def test_a_backup_is_one_file(sqlite_url: str, file: Path) -> None:
    """What was still in the write-ahead log is in it; nothing lies beside it."""
    _saved(sqlite_url, file)
    with closing(sqlite3.connect(file)) as copy:
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert copy.execute("SELECT count(*) FROM studies").fetchone() == (1,)


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────


def test_kinds_are_not_mixed(sqlite_url: str, postgresql_url: str, file: Path) -> None:
    """The message says how studies move between them."""
    _saved(sqlite_url, file)
    with pytest.raises(StorageError, match=r"is a backup of SQLite.*segtune db export"):
        backups.restore(postgresql_url, file)


def test_a_failed_restore_leaves_the_tables(postgresql_url: str, file: Path) -> None:
    """PostgreSQL undoes what was restored, and what was there is put back."""
    before = _saved(postgresql_url, file)
    content = bytearray(file.read_bytes())
    content[-len(content) // 4 :] = b"\0" * len(content[-len(content) // 4 :])
    file.write_bytes(content)
    with pytest.raises(StorageError, match=f"pg_restore failed on {file}"):
        backups.restore(postgresql_url, file, force=True)
    assert _rows(postgresql_url) == before


def test_what_a_killed_restore_left_is_kept(postgresql_url: str, file: Path) -> None:
    """It may be all that there is."""
    _saved(postgresql_url, file)
    db = Database(postgresql_url)
    with db.transaction() as session:
        session.execute(text("CREATE SCHEMA segtune_before_restore"))
    db.dispose()
    with pytest.raises(Conflict, match="segtune_before_restore is still there"):
        backups.restore(postgresql_url, file, force=True)


def test_tables_of_others_are_left_alone(postgresql_url: str, file: Path) -> None:
    """Not even by force."""
    _saved(postgresql_url, file)
    _empty(postgresql_url)
    db = Database(postgresql_url)
    with db.transaction() as session:
        session.execute(text("CREATE TABLE invoices (id int)"))
    db.dispose()
    with pytest.raises(Conflict, match="invoices"):
        backups.restore(postgresql_url, file)
    with pytest.raises(Conflict, match="not segtune's"):
        backups.restore(postgresql_url, file, force=True)


@pytest.mark.parametrize("version", ["", "echo 'pg_dump (PostgreSQL) 9.6.24'"])
def test_programs_that_are_missing_or_old(
    postgresql_url: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """The program is named, and what to install."""
    _saved(postgresql_url, file)
    if version:
        program = tmp_path / "pg_dump"
        program.write_text(f"#!{shutil.which('sh')}\n{version}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = "9.6.24 is older than the server" if version else "pg_dump is not on PATH"
    with pytest.raises(PackageMissing, match=f"{expected}; install PostgreSQL's client programs"):
        backups.save(postgresql_url, file)
