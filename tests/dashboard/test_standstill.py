"""What the pages say of studies that wait, failed or cannot be read, and what they listen for."""

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import update
from starlette.testclient import TestClient

from api.dashboard import assets
from tests.dashboard.scenes import Scene, document
from tuner.configs import checks
from tuner.service import studies
from tuner.spec.events import EventKind
from tuner.spec.messages import OutcomeKind
from tuner.store.engine import Database
from tuner.store.tables import Study

TEXT = "batch_size is 4, and the training split has 3 images"
PAGES = ("/", "/studies/1", "/partials/studies", "/partials/studies/1")


def damage(db: Database, name: str) -> None:
    """Store a study of which this release knows nothing."""
    with db.transaction() as session:
        session.execute(update(Study).where(Study.name == name).values(spec={"colour": "blue"}))


@pytest.mark.parametrize("path", PAGES)
def test_a_study_that_waits_says_why(client: TestClient, db: Database, path: str) -> None:
    """On its page and in the list, and no longer once a worker took a trial."""
    asked = {**document(), "resources": {"gpus": 1}}
    view, _ = studies.submit(db, checks.parse(asked))
    assert "no worker is there; start one with" in client.get(path).text
    Scene(db, view).take()
    assert "no worker is there" not in client.get(path).text


@pytest.mark.parametrize("path", PAGES)
def test_a_failed_study_says_what_its_first_trial_said(
    client: TestClient, db: Database, path: str
) -> None:
    """The text itself, on its page and in the list."""
    scene = Scene.submit(db, trials=1)
    error = f"{TEXT}\n\nTraceback (most recent call last):\n"
    scene.finish(scene.take(), OutcomeKind.FAILED, error=error, error_kind="data")
    html = client.get(path).text
    assert f"its only trial failed: trial 0 (data): {TEXT}" in html
    assert "no trial completed yet" not in html


def test_the_table_of_trials_shows_the_text_of_an_error(client: TestClient, db: Database) -> None:
    """Not just its kind."""
    scene = Scene.submit(db)
    scene.finish(scene.take(), OutcomeKind.FAILED, error=TEXT, error_kind="data")
    assert f">data: {TEXT}</td>" in client.get("/studies/1").text


def test_a_study_that_cannot_be_read_has_its_row_and_a_page_that_says_so(
    client: TestClient, db: Database
) -> None:
    """The list stands, the page is a problem and no crash, and everything else works."""
    Scene.played(db, 2, name="sound")
    Scene.submit(db, "broken")
    damage(db, "broken")
    html = client.get("/").text
    assert "unreadable" in html
    assert "study &#39;broken&#39; (id 2) cannot be read by this release: name: is missing" in html
    assert "sound" in html
    for path in ("/studies/2", "/partials/studies/2", "/studies/2/trials/0"):
        answer = client.get(path)
        assert answer.status_code == 409
        assert "cannot be read by this release" in answer.text
    for path in ("/studies/1", "/studies/1/trials/0", "/workers"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/studies/1", "/studies/1/trials/0"])
def test_pages_listen_for_every_kind_of_event(client: TestClient, db: Database, path: str) -> None:
    """The script has no list of its own to fall behind."""
    Scene.submit(db).take()
    assert f'data-kinds="{" ".join(EventKind)}"' in client.get(path).text
    script = client.get(assets.address("live.js")).text
    assert not [kind for kind in EventKind if kind in script]


def test_a_trial_by_hand_appears_by_itself(browser: Browser, server: str, db: Database) -> None:
    """`trial.created` is heard: the row is there long before the next poll."""
    Scene.played(db, 1)
    page = browser.new_page()
    page.goto(f"{server}/studies/1")
    expect(page.locator("#pulse")).to_have_text("Live")
    added = studies.enqueue(db, 1, {})
    expect(page.locator(f"#trial-{added.number}")).to_contain_text("waiting")
    page.close()
