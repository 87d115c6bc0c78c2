"""Backups: the whole database in one file, written while servers run; and what puts it back.

A file is of the kind of its database. From one kind to the other, studies move by export.
"""

from pathlib import Path
from typing import Protocol

from sqlalchemy import func, inspect, select

from tuner.atomic import replacing
from tuner.errors import Conflict, SegtuneError, StorageError
from tuner.store import migrate, postgresql_backup, sqlite_backup
from tuner.store.engine import Database, normalize, shown
from tuner.store.tables import Base

_PRIVATE = 0o600


class _Kind(Protocol):
    HEADER: bytes

    def save(self, url: str, draft: Path) -> None: ...

    def revision_in(self, file: Path) -> str | None: ...

    def load(self, url: str, file: Path) -> None: ...


_KINDS: dict[str, _Kind] = {"SQLite": sqlite_backup, "PostgreSQL": postgresql_backup}


def save(url: str, file: Path) -> str:
    """Write the database to a file, at one moment of it; gives its revision.

    Raises:
        Conflict: the file is there, and is not a backup, or is the database itself.
        StorageError: the database did not answer, has no tables, or the file cannot be written.
        PackageMissing: PostgreSQL's programs are missing, or older than the server.
    """
    url = normalize(url)
    revision = migrate.revision(url)
    if revision is None:
        raise StorageError(f"database {shown(url)} has no tables: there is nothing to back up")
    if file.exists() and (_kind_of(file) is None or _is_database(url, file)):
        raise Conflict(f"{file} is there and is not a backup; choose another name")
    with replacing(file, mode=_PRIVATE) as draft:
        _KINDS[_kind(url)].save(url, draft)
    return revision


def restore(url: str, file: Path, *, force: bool = False) -> str:
    """Let a backup take the place of the database; gives the backup's revision.

    Nothing is changed unless all of it succeeds. Nobody else may use the database meanwhile.

    Raises:
        Conflict: the database is not empty and there is no `force`, or it is in use.
        StorageError: the file is not a backup of this kind of database, or of a newer release.
        PackageMissing: PostgreSQL's programs are missing, or too old.
    """
    url = normalize(url)
    revision = _readable_revision(url, file)
    if _is_database(url, file):
        raise Conflict(f"{file} is the database itself; name a backup")
    if not force and (content := _content(url)):
        raise Conflict(
            f"database {shown(url)} is not empty ({content}); back it up, then give --force to "
            "replace all of it"
        )
    _KINDS[_kind(url)].load(url, file)
    return revision


def _readable_revision(url: str, file: Path) -> str:
    """The revision of a backup that this release can put into this database."""
    if not file.is_file():
        raise StorageError(f"{file} is not a file; name one that `segtune db backup` has written")
    found, wanted = _kind_of(file), _kind(url)
    if found is None:
        raise StorageError(f"{file} is not a backup that `segtune db backup` has written")
    if found != wanted:
        raise StorageError(
            f"{file} is a backup of {found}, and {shown(url)} is {wanted}; move studies between "
            "them by `segtune db export` and `segtune db import`"
        )
    revision = _KINDS[found].revision_in(file)
    if revision is None:
        raise StorageError(f"{file} is not a backup of segtune's: it does not say its revision")
    if not migrate.is_known(revision):
        raise StorageError(
            f"{file} is at revision {revision}, and {migrate.head()} is the newest known here; "
            "install the segtune release that made it, or a newer one"
        )
    return revision


def _content(url: str) -> str:
    """What is in the database, in words; empty where there is nothing."""
    db = Database(url)
    if db.is_absent():
        return ""
    try:
        with db.reading() as session:
            there = set(inspect(session.connection()).get_table_names())
            # Studies first: what they have beside themselves says less.
            for table in sorted(Base.metadata.sorted_tables, key=lambda one: one.name != "studies"):
                if table.name not in there:
                    continue
                if count := session.scalar(select(func.count()).select_from(table)):
                    return f"{table.name}: {count}"
        return ", ".join(sorted(there - {*Base.metadata.tables, "alembic_version"})[:3])
    except SegtuneError as error:
        return str(error)
    finally:
        db.dispose()


def _kind(url: str) -> str:
    return "SQLite" if url.startswith("sqlite") else "PostgreSQL"


def _kind_of(file: Path) -> str | None:
    with file.open("rb") as opened:
        start = opened.read(16)
    return next((name for name, kind in _KINDS.items() if start.startswith(kind.HEADER)), None)


def _is_database(url: str, file: Path) -> bool:
    if _kind(url) != "SQLite":
        return False
    database = sqlite_backup.path_of(url)
    return database.exists() and file.exists() and database.samefile(file)
