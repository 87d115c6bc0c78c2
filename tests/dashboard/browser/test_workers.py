"""Workers, queue and a live log in a real browser: followed, drained, raised, downloaded."""

import re

import pytest
from playwright.sync_api import expect

from tests.browsers import Visit, Windows, becomes
from tests.dashboard.browser.test_accessible import RULES, faults
from tests.dashboard.fleets import LOG, fleet_at_work
from tests.dashboard.scenes import LEASE_SECONDS, Scene
from tuner.service import leases
from tuner.spec.messages import Assignment
from tuner.spec.vitals import Usage, Vitals
from tuner.store.engine import Database


def tell(scene: Scene, held: Assignment, log: str, *, utilisation: float = 0.5) -> None:
    """A heartbeat with the end of a log."""
    vitals = Vitals(usage=Usage(utilisation=utilisation), log=log)
    leases.heartbeat(scene.db, held.lease, held.token, lease_seconds=LEASE_SECONDS, vitals=vitals)


def test_a_worker_is_followed_and_drained(visit: Visit, server: str, db: Database) -> None:
    """Its use changes by itself; the button drains it, and the page says what follows."""
    _, scene = fleet_at_work(db)
    held, page = scene.take("gpu-7"), visit.page
    page.goto(f"{server}/workers")
    worker = page.locator('[id="worker-gpu-7"]')
    expect(worker).to_contain_text("busy")
    tell(scene, held, LOG, utilisation=0.83)
    expect(worker).to_contain_text("83 %", timeout=10_000)
    page.get_by_role("button", name="Let gpu-7 end its trial").click()
    expect(worker).to_contain_text("draining")
    page.get_by_role("button", name="Let gpu-7 take trials again").click()
    expect(worker).to_contain_text("busy")
    page.locator('[id="worker-gpu-3"]').get_by_role("link", name="1", exact=True).click()
    expect(page.locator("#lost tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("#lost tbody tr")).to_have_count(2)
    assert visit.complaints == []


def test_a_study_is_brought_forward(visit: Visit, server: str, db: Database) -> None:
    """A press of plus, and it is the first in the queue; j and Enter lead to it."""
    fleet_at_work(db)
    page = visit.page
    page.goto(f"{server}/queue")
    expect(page.locator("#queue tbody tr").first).to_contain_text("aerial-roofs")
    page.get_by_role("button", name="Raise the priority of camvid-street to 60").click()
    expect(page.locator("#queue tbody tr").first).to_contain_text("camvid-street")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/studies/1$"))
    assert visit.complaints == []


def test_a_log_is_followed_unless_one_reads(visit: Visit, server: str, db: Database) -> None:
    """New lines come into view at the end; whoever has scrolled up stays, and may go back."""
    scene = Scene.submit(db)
    held, page = scene.take(), visit.page
    tell(scene, held, LOG)
    page.goto(f"{server}/studies/1/trials/{held.trial}")
    log = page.get_by_role("log")
    expect(log).to_contain_text("epoch 59")
    at_end = "text => text.scrollHeight - text.scrollTop - text.clientHeight < 2"
    assert becomes(log, at_end, True)
    tell(scene, held, LOG + "the 61st line\n")
    expect(log).to_contain_text("the 61st line", timeout=10_000)
    assert becomes(log, at_end, True)
    expect(page.locator("#log-end")).to_be_hidden()
    log.evaluate("text => { text.scrollTop = 0; }")
    expect(page.locator("#log-end")).to_be_visible()
    tell(scene, held, LOG + "the 61st line\nthe 62nd line\n")
    expect(log).to_contain_text("the 62nd line", timeout=10_000)
    assert becomes(log, "text => text.scrollTop", 0)
    page.locator("#log-end").click()
    assert becomes(log, at_end, True)
    assert visit.complaints == []


def test_lines_are_wrapped_by_the_address(visit: Visit, server: str, db: Database) -> None:
    """The switch is in the address, and the back button undoes it; the file is the whole tail."""
    scene = Scene.submit(db)
    held, page = scene.take(), visit.page
    tell(scene, held, LOG + "x" * 400)
    page.goto(f"{server}/studies/1/trials/{held.trial}")
    page.get_by_role("button", name="Wrap lines").click()
    expect(page).to_have_url(re.compile(r"\?wrap=1$"))
    expect(page.get_by_role("log")).to_have_class(re.compile("wrapped"))
    expect(page.get_by_role("button", name="Wrap lines")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(page.get_by_role("log")).not_to_have_class(re.compile("wrapped"))
    with page.expect_download() as download:
        page.locator("#log-download").click()
    assert download.value.suggested_filename == f"trial-{held.trial}-attempt-1.log"
    assert download.value.path().read_text() == LOG + "x" * 400
    assert visit.complaints == []


@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_of_a_fleet_are_accessible(
    windows: Windows, server: str, db: Database, width: int
) -> None:
    """Axe finds nothing, wide and narrow, and nothing scrolls the page sideways."""
    number, _ = fleet_at_work(db)
    visit = windows.open(viewport={"width": width, "height": 844})
    trial = f"/studies/1/trials/{number}"
    for path, part in (("/workers", "html"), ("/queue", "html"), (trial, "#log")):
        visit.page.goto(f"{server}{path}", wait_until="load")
        assert faults(visit.page, RULES, part) == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert visit.complaints == []
