"""Servers for API tests: in this process, on SQLite or on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import running
from tests.clones import PostgresServer
from tests.databases import KINDS


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    """Settings of a server on SQLite whose upkeep never comes by itself."""
    return Settings(
        _env_file=None, home=tmp_path, database_url=sqlite_url, upkeep_seconds=3600, port=0
    )


@pytest.fixture(scope="module", params=KINDS)
def lasting_settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """The same for a module's tests that share what they only read, on each kind of database."""
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        yield Settings(_env_file=None, home=home, upkeep_seconds=3600)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.create()
    yield Settings(_env_file=None, home=home, upkeep_seconds=3600, database_url=url)
    server.drop(url)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A client of a server on SQLite."""
    with running(settings) as client:
        yield client


@pytest.fixture
def any_client(settings: Settings, database_url: str) -> Iterator[TestClient]:
    """A client of a server on each kind of database."""
    with running(settings.model_copy(update={"database_url": database_url})) as client:
        yield client
