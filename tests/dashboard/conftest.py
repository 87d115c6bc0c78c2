"""Servers for dashboard tests: one in this process, one on loopback with a browser before it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.samples import serving
from tuner.store.engine import Database

_BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


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
def server(settings: Settings) -> Iterator[str]:
    """URL of a real server on loopback."""
    with serving(settings) as live:
        yield str(live.client.base_url).rstrip("/")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; where there is none the test skips, in CI it fails."""
    program = next((path for path in _BROWSERS if Path(path).exists()), None)
    if program is None:
        _unavailable(f"no browser at {', '.join(_BROWSERS)}; apt-get install chromium")
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        except Error as error:
            _unavailable(f"{program} does not start: {error}")
        yield found
        found.close()


def _unavailable(reason: str) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(reason)
    pytest.skip(reason)
