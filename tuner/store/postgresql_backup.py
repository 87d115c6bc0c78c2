"""PostgreSQL's own programs: `pg_dump` and `pg_restore`, in their custom format."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, make_url, text

from tuner.errors import Conflict, PackageMissing, StorageError
from tuner.store.engine import Database, shown
from tuner.wording import quantity

HEADER = b"PGDMP"
_PLAIN = ("--no-owner", "--no-privileges")
_HINTS = {"unsupported version": "; the backup was made by a newer pg_dump: install that one's"}
_ASIDE = "segtune_before_restore"  # the schema of what is replaced, until it has been
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_LEAVING_SECONDS = 2.0
_LEFT = text("SELECT count(*) FROM pg_namespace WHERE nspname = :aside")
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")


def save(url: str, draft: Path) -> None:
    """Dump the database as it is at one moment into a file. Raises StorageError, PackageMissing."""
    with _connected(url) as connection:
        server, schema = _major_of(connection), _schema_of(connection)
    _require("pg_dump", at_least=server)
    _run(
        "pg_dump",
        "--format=custom",
        f"--schema={schema}",
        f"--file={draft}",
        *_PLAIN,
        of=shown(url),
        url=url,
    )


def revision_in(file: Path) -> str | None:
    """The revision of a backup; None if it is not a database of ours.

    Raises:
        PackageMissing: pg_restore is not there.
        StorageError: it cannot read the file.
    """
    _require("pg_restore")
    arguments = ("--data-only", "--table=alembic_version", "--file=-", str(file))
    found = re.search(
        r"^COPY .*\balembic_version\b.*;\n(\w+)\n", _run("pg_restore", *arguments, of=file), re.M
    )
    return found[1] if found else None


def load(url: str, file: Path) -> None:
    """Let the backup take the place of all tables, or leave them as they are.

    Raises:
        Conflict: somebody else is connected, or the tables are not ours.
        StorageError: it was refused.
        PackageMissing: pg_restore is not there.
    """
    _require("pg_restore")
    _require_alone(url)
    with _connected(url) as connection:
        schema = _schema_of(connection)
        has_moved = _move_aside(connection)
    try:
        options = ("--single-transaction", "--exit-on-error", f"--schema={schema}", *_PLAIN)
        _run("pg_restore", *options, str(file), of=file, url=url)
    except BaseException:
        if has_moved:
            with _connected(url) as connection:
                _move_back(connection, schema)
        raise
    if has_moved:
        with _connected(url) as connection:
            connection.execute(text(f"DROP SCHEMA {_ASIDE} CASCADE"))


def _require_alone(url: str) -> None:
    """Raise Conflict if others stay connected; those that are just leaving are waited for."""
    deadline = time.monotonic() + _LEAVING_SECONDS
    while True:
        with _connected(url) as connection:  # a transaction sees the connections of its begin
            others = int(connection.scalar(_OTHERS) or 0)
        if not others:
            return
        if time.monotonic() > deadline:
            raise Conflict(
                f"database {shown(url)} has {quantity(others, 'other connection')}; end the "
                "servers and whatever else is connected"
            )
        time.sleep(0.2)


def _move_aside(connection: Connection) -> bool:
    """Put all tables into a schema of their own, with their indexes and sequences."""
    tables = list(connection.scalars(_TABLES))
    if not tables:
        return False
    if "alembic_version" not in tables:
        raise Conflict(
            f"the database holds tables that are not segtune's ({', '.join(sorted(tables)[:3])}); "
            "restore into another one"
        )
    if connection.scalar(_LEFT, {"aside": _ASIDE}):
        raise Conflict(
            f"the schema {_ASIDE} is still there: a restore was killed before it could drop it; "
            "drop it, or move its tables back where nothing took their place"
        )
    connection.execute(text(f"CREATE SCHEMA {_ASIDE}"))
    _move(connection, tables, _ASIDE)
    return True


def _move_back(connection: Connection, schema: str) -> None:
    moved = text("SELECT tablename FROM pg_tables WHERE schemaname = :aside")
    _move(connection, list(connection.scalars(moved, {"aside": _ASIDE})), schema, _ASIDE)
    connection.execute(text(f"DROP SCHEMA {_ASIDE}"))


def _move(connection: Connection, tables: Sequence[str], to: str, where: str | None = None) -> None:
    quote = connection.dialect.identifier_preparer.quote
    prefix = f"{quote(where)}." if where else ""
    for table in tables:
        connection.execute(text(f"ALTER TABLE {prefix}{quote(table)} SET SCHEMA {quote(to)}"))


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """One transaction, and nothing that stays connected after it. Raises StorageError."""
    db = Database(url)
    try:
        with db.transaction() as session:
            yield session.connection()
    finally:
        db.dispose()


def _schema_of(connection: Connection) -> str:
    return str(connection.scalar(text("SELECT current_schema()")))


def _major_of(connection: Connection) -> int:
    return int(str(connection.scalar(text("SHOW server_version_num")))) // 10_000


def _require(program: str, *, at_least: int = 0) -> None:
    """Raise PackageMissing unless the program is there, and as new as the server."""
    release = f" {at_least} or newer" if at_least else ""
    remedy = f"install PostgreSQL's client programs{release}, such as Debian's postgresql-client"
    if shutil.which(program) is None:
        raise PackageMissing(f"{program} is not on PATH; {remedy}")
    said = _run(program, "--version", of="its version")
    found = re.search(r"\) (\d+)", said)
    if found is None or int(found[1]) < at_least:
        raise PackageMissing(f"{said.strip()} is older than the server; {remedy}")


def _run(program: str, *arguments: str, of: object, url: str | None = None) -> str:
    """What the program puts out. Raises StorageError with what it complains of, and of what."""
    environment = dict(os.environ)
    if url is not None:
        arguments = (f"--dbname={_conninfo(url)}", *arguments)
        if password := make_url(url).password:  # arguments can be read by everybody
            environment["PGPASSWORD"] = str(password)
    done = subprocess.run(
        [program, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = " ".join(done.stderr.split())[:2_000]
        hint = next((hint for sign, hint in _HINTS.items() if sign in said), "")
        raise StorageError(f"{program} failed on {of}: {said}{hint}")
    return done.stdout


def _conninfo(url: str) -> str:
    """The database as libpq spells it, without the password."""
    parsed = make_url(url)
    parts = {
        "host": parsed.host,
        "port": parsed.port,
        "user": parsed.username,
        "dbname": parsed.database,
        **parsed.query,
    }
    given = {name: str(value) for name, value in parts.items() if value and name != "password"}
    return make_conninfo("", **given)
