"""Databases for tests: every store test runs on SQLite and on PostgreSQL, each on its own copy.

One PostgreSQL serves the whole run: the one that TEST_DATABASE_URL names (its user may create
databases), else one that is started from the system's programs or the wheel. Migrations run once
per run and database kind; a test gets a clone of the result.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from filelock import FileLock
from sqlalchemy import make_url

from tests import postgres
from tests.clones import PostgresServer, conninfo
from tests.missing import unavailable
from tuner.store.engine import Database
from tuner.store.migrate import upgrade

KINDS = ("sqlite", "postgresql")


class Clock:
    """A clock that a test sets: `Database(url, clock=clock)`."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Let time pass, and give the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test moves it."""
    return Clock()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty, migrated database; the test runs once per kind of database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database of each kind, on its own clock."""
    db = Database(database_url)
    yield db
    db.dispose()


@pytest.fixture
def clocked_database(database_url: str, clock: Clock) -> Iterator[Database]:
    """An empty, migrated database of each kind, on the test's `clock`."""
    db = Database(database_url, clock=clock)
    yield db
    db.dispose()


@pytest.fixture(scope="session")
def new_sqlite(_sqlite_template: Path) -> Callable[[Path], str]:
    """Writes an empty, migrated SQLite file into a folder, and gives its URL."""

    def write(folder: Path) -> str:
        path = folder / "segtune.db"
        shutil.copyfile(_sqlite_template, path)
        return f"sqlite:///{path}"

    return write


@pytest.fixture
def sqlite_url(tmp_path: Path, new_sqlite: Callable[[Path], str]) -> str:
    """URL of an empty, migrated SQLite file."""
    return new_sqlite(tmp_path)


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of an empty, migrated PostgreSQL database; skips where there is none, fails in CI."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def postgres_server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[PostgresServer]:
    """The PostgreSQL that all processes of this run share."""
    note = _shared_folder(request.config, tmp_path_factory) / "postgres.json"
    with FileLock(f"{note}.lock"):
        if not note.exists():
            note.write_text(json.dumps(_prepare()))
        state = json.loads(note.read_text())
    if state["problem"]:
        unavailable(f"no PostgreSQL for tests (TEST_DATABASE_URL names one): {state['problem']}")
    server = PostgresServer(state["url"], state["template"])
    yield server
    server.close()


@pytest.fixture(scope="session")
def _sqlite_template(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    folder = _shared_folder(request.config, tmp_path_factory)
    template = folder / "template.db"
    with FileLock(folder / "template.lock"):
        if not template.exists():
            unfinished = folder / "unfinished.db"
            upgrade(f"sqlite:///{unfinished}")
            unfinished.rename(template)
    return template


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what the run made; the processes of pytest-xdist leave that to their controller."""
    factory: pytest.TempPathFactory | None = getattr(session.config, "_tmp_path_factory", None)
    if factory is None or hasattr(session.config, "workerinput"):
        return
    note = factory.getbasetemp() / "postgres.json"
    if not note.exists():
        return
    state = json.loads(note.read_text())
    note.unlink()
    if state["folder"]:
        postgres.stop(Path(state["folder"]))
    elif state["template"]:
        with psycopg.connect(conninfo(state["url"]), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{state["template"]}" WITH (FORCE)')


def _shared_folder(config: pytest.Config, factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run have in common, and no other run."""
    own = factory.getbasetemp()
    return own.parent if hasattr(config, "workerinput") else own


def _prepare() -> dict[str, str]:
    """Find or start a server and migrate its template; a problem is found once, not per test."""
    state = {"url": "", "template": "", "folder": "", "problem": ""}
    given = os.environ.get("TEST_DATABASE_URL", "")
    try:
        admin_url = given or postgres.start(owner=_controller())
        state["url"] = admin_url
        if not given:
            state["folder"] = str(make_url(admin_url).query["host"])
        template = f"segtune_test_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(conninfo(admin_url), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{template}"')
        state["template"] = template
        url = make_url(admin_url).set(database=template)
        upgrade(url.render_as_string(hide_password=False))
    except (postgres.NoPostgresError, psycopg.Error) as error:
        state["problem"] = str(error)
    return state


def _controller() -> int:
    """The process whose end is the end of the run."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
