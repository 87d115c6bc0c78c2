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
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from tuner.errors import StorageError
from tuner.store.engine import Database

_FOLDER = Path(__file__).parents[2] / "migrations"  # beside `tuner`, installed or not
_one_at_a_time = threading.Lock()  # Alembic keeps what it works on in a global
_log = logging.getLogger(__name__)


def upgrade(url: str) -> None:
    """Create or alter the tables; servers that start together wait for each other.

    Raises:
        StorageError: the database did not answer, or was made by a newer release.
    """
    db = Database(url)
    try:
        before = current(db)
    finally:
        db.dispose()
    if before == head():
        return
    try:
        with _one_at_a_time:
            command.upgrade(_config(url), "head")
    except (CommandError, SQLAlchemyError) as error:
        raise StorageError(_failure(url, before, error)) from error
    _log.info("database migrated from %s to %s", before or "nothing", head())


def current(db: Database) -> str | None:
    """The revision that the database is at; None if it has no tables. Raises StorageError."""
    with db.reading() as session:
        return MigrationContext.configure(session.connection()).get_current_revision()


def is_current(db: Database) -> bool:
    """Whether the database has the tables of this release. Raises StorageError."""
    return current(db) == head()


@cache
def head() -> str:
    """The newest revision that this release knows."""
    return str(ScriptDirectory(str(_FOLDER)).get_current_head())


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _failure(url: str, before: str | None, error: Exception) -> str:
    where = make_url(url).render_as_string(hide_password=True)
    if isinstance(error, CommandError):
        return (
            f"database {where} is at revision {before}, newest known here is {head()}: {error}; "
            "install the segtune release that made it, or a newer one"
        )
    return f"database {where} could not be migrated from {before or 'nothing'} to {head()}: {error}"
