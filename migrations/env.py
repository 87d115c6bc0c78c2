"""What Alembic runs for every command: one tree of migrations for SQLite and PostgreSQL.

The whole upgrade is one transaction on both databases, so that a migration that fails leaves
nothing behind, and servers that start together wait for each other. The URL comes from
`tuner.store.migrate`, from `alembic -x url=…`, or from SEGTUNE_DATABASE_URL.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from tuner.errors import StorageError
from tuner.store.engine import Database, normalize
from tuner.store.tables import Base, UtcDateTime

LOCK = 0x5E6_7E0E  # any number, the same in every release
LOCK_TIMEOUT = "10s"


def database_url() -> str:
    """The database to migrate. Raises StorageError when none is named."""
    asked = context.get_x_argument(as_dictionary=True).get("url")
    url = context.config.attributes.get("url") or asked or os.environ.get("SEGTUNE_DATABASE_URL")
    if not url:
        raise StorageError("no database to migrate; set SEGTUNE_DATABASE_URL or give -x url=…")
    return normalize(str(url))


def number_revision(
    migration: MigrationContext, _: str | Iterable[str | None] | Iterable[str], scripts: list[Any]
) -> None:
    """Name a new revision by the next number, and drop it when autogenerate found no change."""
    script: MigrationScript = scripts[0]
    changes = script.upgrade_ops
    if getattr(context.config.cmd_opts, "autogenerate", False) and changes and changes.is_empty():
        scripts.clear()
        return
    head = ScriptDirectory.from_config(context.config).get_current_head() or "0"
    script.rev_id = f"{int(head) + 1:04d}"


def render_type(kind: str, item: object, _: AutogenContext) -> str | Literal[False]:
    """Write our own time type as what it is in the database: a migration imports no models."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def configure(**options: Any) -> None:
    """Tell Alembic how we compare, alter and number."""
    context.configure(
        target_metadata=Base.metadata,
        render_as_batch=True,  # SQLite alters a table by copying it
        transactional_ddl=True,
        compare_type=True,
        render_item=render_type,
        process_revision_directives=number_revision,
        **options,
    )


@contextmanager
def locked(connection: Connection) -> Iterator[None]:
    """Hold off every other migration, in one transaction that also carries the changes.

    A statement that waits for a busy table longer than LOCK_TIMEOUT fails instead of making
    every query behind it wait as well.
    """
    if connection.dialect.name == "sqlite":
        with without_foreign_keys(connection), connection.begin():
            yield
        return
    with connection.begin():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        yield


@contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Keep SQLite from deleting the children of a table that is copied and dropped."""
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")  # has no effect inside a transaction
    yield
    orphans = driver.execute("PRAGMA foreign_key_check").fetchall()
    driver.execute("PRAGMA foreign_keys=ON")
    if orphans:
        raise StorageError(f"a migration left rows without their parent: {orphans[:5]}")


def run_online() -> None:
    """Migrate the database."""
    db = Database(database_url())
    try:
        with db.engine.connect() as plain:
            connection = plain.execution_options(segtune_writes=True)
            with locked(connection):
                configure(connection=connection)
                context.run_migrations()
    finally:
        db.dispose()


def run_offline() -> None:
    """Print the SQL instead of running it."""
    configure(url=database_url(), literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
