"""Bring a database to the tables of this release, from a checkout or an installed package."""

import logging
import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from tuner.errors import StorageError
from tuner.store.engine import Database, shown

_FOLDER = Path(__file__).parents[2] / "migrations"  # beside `tuner`, installed or not
_SQLITE_REMEDIES = {  # by a part of SQLite's own words
    "not a database": "this file is something else; move it away, or name another by "
    "SEGTUNE_DATABASE_URL",
    "readonly": "allow this user to write the file and its folder",
    "unable to open": "it must be a file, or none yet, in a folder that this user may write to",
    "disk is full": "make room there",
    "locked": "another program holds it; end that one, and try again",
    "malformed": "the file is damaged; restore it from a copy",
}
_one_at_a_time = threading.Lock()  # Alembic keeps what it works on in a global
logger = logging.getLogger(__name__)


def upgrade(url: str) -> None:
    """Create or alter the tables; servers that start together wait for each other.

    Raises:
        StorageError: the database did not answer, or was made by a newer release.
    """
    before = revision(url)
    if before == head():
        return
    try:
        with _one_at_a_time:
            command.upgrade(_config(url), "head")
    except (CommandError, SQLAlchemyError) as error:
        where, reason = shown(url), " ".join(str(error).split())
        raise StorageError(
            f"database {where} could not be migrated from {before or 'nothing'} to {head()}: "
            f"{reason}"
        ) from error
    logger.info("database migrated from %s to %s", before or "nothing", head())


def revision(url: str) -> str | None:
    """The revision of the database at a URL, None if it has no tables; names what is wrong.

    Raises:
        StorageError: the database did not answer, or was made by a newer release.
    """
    db = Database(url)
    if db.is_absent():
        return None
    try:
        found = current(db)
    except StorageError as error:
        reason = " ".join(str(error).split()).removeprefix("the database ")
        raise StorageError(f"database {shown(url)} {reason}; {_remedy(db.url, reason)}") from error
    finally:
        db.dispose()
    if found is not None and not is_known(found):
        raise StorageError(
            f"database {shown(url)} is at revision {found}, and {head()} is the newest known here; "
            "install the segtune release that made it, or a newer one"
        )
    return found


def require_current(url: str) -> None:
    """Raise StorageError unless the database has the tables of this release."""
    if revision(url) != head():
        raise StorageError(f"database {shown(url)} has older tables, or none; `segtune db upgrade`")


def current(db: Database) -> str | None:
    """The revision that the database is at; None if it has no tables. Raises StorageError."""
    with db.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def is_current(db: Database) -> bool:
    """Whether the database has the tables of this release. Raises StorageError."""
    return current(db) == head()


def is_known(revision: str) -> bool:
    """Whether this release knows that revision."""
    return revision in _known()


def is_served(db: Database) -> bool:
    """Whether a server of this release that runs can go on with the database. Raises StorageError.

    It can with its own tables, and with those of a release that has migrated them since it began:
    each migration lets the release before go on working.
    """
    found = current(db)
    return found is not None and (found == head() or found not in _known())


@cache
def head() -> str:
    """The newest revision that this release knows."""
    return str(ScriptDirectory(str(_FOLDER)).get_current_head())


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["url"] = url
    return config


@cache
def _known() -> frozenset[str]:
    """Every revision that this release knows."""
    return frozenset(str(each.revision) for each in ScriptDirectory(str(_FOLDER)).walk_revisions())


def _remedy(url: str, reason: str) -> str:
    """What to do about a database that does not open."""
    if not url.startswith("sqlite"):
        return (
            "check that PostgreSQL runs there, and that SEGTUNE_DATABASE_URL has the right user, "
            "password and name"
        )
    fitting = (remedy for sign, remedy in _SQLITE_REMEDIES.items() if sign in reason)
    return next(fitting, "name another file by SEGTUNE_DATABASE_URL, or another folder by --home")
