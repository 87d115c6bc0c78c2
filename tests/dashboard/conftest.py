"""Servers for dashboard tests: one in this process, one on loopback for a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.samples import serving
from tuner.store.engine import Database


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    """Settings of a server on SQLite whose upkeep never comes by itself."""
    return Settings(
        _env_file=None, home=tmp_path, database_url=sqlite_url, upkeep_seconds=3600, port=0
    )


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    """The server's database."""
    database = Database(settings.database_url)
    yield database
    database.dispose()


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    """A browser's requests to a server in this process."""
    headers = {"accept": "text/html"}
    with TestClient(create_app(settings), base_url="http://localhost", headers=headers) as client:
        yield client


@pytest.fixture
def server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a real server on loopback; what a scene writes past it does not stay unseen long."""
    monkeypatch.setattr("api.waiting.POLL_SECONDS", 0.2)
    with serving(settings) as live:
        yield str(live.client.base_url).rstrip("/")
