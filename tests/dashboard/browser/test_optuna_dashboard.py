"""`segtune optuna-dashboard` as a process, and its page in a real browser."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.store.samples import spec
from tests.store.test_optuna_storage import COURSES, fill
from tuner.store.engine import Database

COMMAND = (sys.executable, "-m", "tuner.cli.app", "optuna-dashboard")


@pytest.fixture
def address(database: Database, database_url: str) -> Iterator[str]:
    """The address that the command prints, which it serves until the test ends."""
    fill(database, spec())
    environment = {**os.environ, "SEGTUNE_DATABASE_URL": database_url}
    arguments = ("streets", "--port", "0")
    with subprocess.Popen(
        (*COMMAND, *arguments), env=environment, text=True, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        (found,) = (word for word in line.split() if word.startswith("http://"))
        yield found
        process.terminate()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a browser window of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def test_it_shows_the_study_and_refuses_to_change_it(address: str, page: Page) -> None:
    """The bare address opens the study with all its trials; a note and a delete are refused."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    server = address.removesuffix("/dashboard/studies/1")
    assert len(httpx.get(f"{server}/api/studies/1").json()["trials"]) == len(COURSES)

    page.goto(server)
    expect(page).to_have_url(address)
    expect(page.get_by_text("Best Trial")).to_be_visible()
    page.goto(f"{address}/trials")
    expect(page.get_by_text(f"{len(COURSES)} Trials")).to_be_visible()
    assert complaints == []

    page.goto(f"{address}/note")
    page.get_by_test_id("EditIcon").click()
    page.get_by_role("textbox").first.fill("the best of all")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("only reads here")).to_be_visible()
    page.goto(f"{server}/dashboard")
    page.get_by_label("delete study").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("Failed to delete study")).to_be_visible()
    assert all("403" in text or "only reads" in text for text in complaints)
    assert httpx.get(f"{server}/api/studies/1").json()["name"] == "streets"
