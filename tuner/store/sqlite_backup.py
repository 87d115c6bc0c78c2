"""SQLite's file, copied while servers write to it, and put back while none has it open."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import make_url

from tuner.atomic import replacing
from tuner.errors import Conflict, StorageError

HEADER = b"SQLite format 3\0"
_WAIT = 30.0  # seconds for a writer to end
_SIDE_FILES = ("-wal", "-shm", "-journal")
_PRIVATE = 0o600  # whoever reads a database reads every study


def path_of(url: str) -> Path:
    """The file of an SQLite URL."""
    return Path(str(make_url(url).database))


def save(url: str, draft: Path) -> None:
    """Copy the database as it is at one moment into an empty file. Raises StorageError."""
    source = path_of(url)
    try:
        with (
            closing(sqlite3.connect(source, timeout=_WAIT)) as read,
            closing(sqlite3.connect(draft)) as written,
        ):
            read.backup(written)  # in one step: pages that change meanwhile begin it anew
            written.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
    except sqlite3.Error as error:
        raise StorageError(f"{source} could not be copied: {error}") from error
    check(draft)


def check(file: Path) -> None:
    """Raise StorageError unless the file is a whole SQLite database."""
    try:
        with closing(_opened(file)) as read:
            found = [row[0] for row in read.execute("PRAGMA integrity_check(1)")]
    except sqlite3.Error as error:
        raise StorageError(f"{file} is damaged: {error}") from error
    if found != ["ok"]:
        raise StorageError(f"{file} is damaged: {' '.join(found[0].split())}")


def revision_in(file: Path) -> str | None:
    """The revision of a backup; None if it is not a database of ours. Raises StorageError."""
    check(file)
    with suppress(sqlite3.Error), closing(_opened(file)) as read:
        row = read.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])
    return None


def is_free(url: str) -> bool:
    """Whether no process has the database open; a damaged one is free to be replaced."""
    path = path_of(url)
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path, timeout=1)) as alone:
            # Only the one that has it alone may end the write-ahead log.
            (mode,) = alone.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        return "locked" not in str(error)
    except sqlite3.DatabaseError:
        return True
    return bool(mode == "delete")


def load(url: str, file: Path) -> None:
    """Let the backup take the database's place, at once. Raises Conflict, StorageError."""
    path = path_of(url)
    if not is_free(url):
        raise Conflict(f"{path} is in use; end the server and whatever else has it open")
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o777 if path.exists() else _PRIVATE
    with replacing(path, mode=mode) as draft:
        try:
            with closing(_opened(file)) as read, closing(sqlite3.connect(draft)) as written:
                read.backup(written)
        except sqlite3.Error as error:
            raise StorageError(f"{file} could not be copied to {path}: {error}") from error
        for ending in _SIDE_FILES:  # what they hold belongs to the database that goes
            path.with_name(path.name + ending).unlink(missing_ok=True)


def _opened(file: Path) -> sqlite3.Connection:
    """Open a file that nobody writes to, and that nothing may be written beside."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
