"""The dashboard in a real browser against a real server: it updates by itself, quietly."""

import re
from typing import Literal

import pytest
from playwright.sync_api import expect

from api.settings import Settings
from tests.api.samples import serving
from tests.browsers import Visit, Windows
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

PATHS = ("/", "/studies/1", "/studies/1/trials/1", "/compare?trials=1:1,1:2", "/workers")


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study with a few ended trials."""
    return Scene.played(db, 5)


def test_study_page_follows_a_report(visit: Visit, server: str, scene: Scene) -> None:
    """A report shows in the table within the page's life: no reload, no complaint."""
    work = scene.take()
    visit.page.goto(f"{server}/studies/1")
    expect(visit.page.locator("#pulse")).to_have_text("Live")
    visit.page.evaluate("window.untouched = true")
    scene.report(work, 1, 2, 3)
    expect(visit.page.locator(f"#trial-{work.trial}")).to_contain_text("3/12")
    expect(visit.page.locator("#curves figcaption")).to_contain_text("1 running")
    assert visit.page.evaluate("window.untouched") is True
    assert visit.complaints == []


def test_new_trials_appear_on_top(visit: Visit, server: str, scene: Scene) -> None:
    """A trial that starts while one looks gets its row; the others keep theirs."""
    visit.page.goto(f"{server}/studies/1")
    expect(visit.page.locator("#pulse")).to_have_text("Live")
    visit.page.evaluate("window.row = document.getElementById('trial-2')")
    work = scene.take()
    first = visit.page.locator("#trials tbody tr").first
    expect(first).to_have_id(f"trial-{work.trial}")
    assert visit.page.evaluate("window.row === document.getElementById('trial-2')")


def test_focus_and_folds_survive_an_update(visit: Visit, server: str, scene: Scene) -> None:
    """What the visitor holds stays in the hand while figures change around it."""
    work = scene.take()
    visit.page.goto(f"{server}/studies/1")
    expect(visit.page.locator("#pulse")).to_have_text("Live")
    visit.page.locator("#cancel > summary").click()
    visit.page.locator('[id="sort-optimizer.lr"]').focus()
    scene.report(work, 1)
    expect(visit.page.locator(f"#trial-{work.trial}")).to_contain_text("1/12")
    assert visit.page.evaluate("document.activeElement.id") == "sort-optimizer.lr"
    assert visit.page.evaluate("document.getElementById('cancel').open")


def test_trial_page_follows_its_reports(visit: Visit, server: str, scene: Scene) -> None:
    """Curves and classes come with the first report."""
    work = scene.take()
    visit.page.goto(f"{server}/studies/1/trials/{work.trial}")
    expect(visit.page.locator("#pulse")).to_have_text("Live")
    scene.report(work, 1, 2)
    expect(visit.page.locator("#facts")).to_contain_text("2 / 12")
    expect(visit.page.locator("#plots path.line").first).to_have_count(1)
    assert visit.complaints == []


def test_buttons_work_without_losing_the_page(visit: Visit, server: str, scene: Scene) -> None:
    """Pause turns into Resume, by way of a plain form."""
    visit.page.goto(f"{server}/studies/1")
    visit.page.get_by_role("button", name="Pause").click()
    expect(visit.page.get_by_role("button", name="Resume")).to_be_visible()
    expect(visit.page.locator("h1")).to_contain_text("paused")


def test_a_point_of_the_chart_leads_to_its_trial(visit: Visit, server: str, scene: Scene) -> None:
    """The chart is a map: a click on a mark opens the trial."""
    visit.page.goto(f"{server}/studies/1")
    visit.page.locator("#history circle[data-trial='0']").dispatch_event("click")
    expect(visit.page).to_have_url(re.compile(r"/studies/1/trials/0$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(
    windows: Windows, server: str, scene: Scene, scheme: Literal["light", "dark"]
) -> None:
    """At 390 pixels nothing scrolls sideways, in both colour schemes, without a complaint."""
    visit = windows.open(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for path in PATHS:
        visit.page.goto(f"{server}{path}")
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert width <= 390, path
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 150) == (scheme == "dark"), path
        assert visit.complaints == [], path


def test_the_chosen_scheme_stays(visit: Visit, server: str, scene: Scene) -> None:
    """The switch overrules the system's preference, on the next page too."""
    visit.page.goto(f"{server}/")
    visit.page.locator("#theme").click()
    visit.page.goto(f"{server}/workers")
    expect(visit.page.locator("html")).to_have_attribute("data-theme", "dark")


def test_keyboard_reaches_the_content_first(visit: Visit, server: str, scene: Scene) -> None:
    """The first stop of the keyboard skips the header."""
    visit.page.goto(f"{server}/studies/1")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to content"


def test_what_mattered_comes_after_the_page(visit: Visit, server: str, scene: Scene) -> None:
    """The page does not wait for it, and it needs no click."""
    for _ in range(12):
        scene.train()
    visit.page.goto(f"{server}/studies/1")
    expect(visit.page.locator("#importance tbody tr")).to_have_count(5, timeout=60_000)
    visit.page.get_by_text("whole space", exact=True).click()
    expect(visit.page.locator("#importance header")).to_contain_text("by itself", timeout=60_000)
    expect(visit.page.locator("#importance tbody tr")).to_have_count(5)
    assert visit.complaints == []


def test_a_page_whose_server_is_gone_says_so_and_comes_back(
    visit: Visit, settings: Settings, db: Database
) -> None:
    """It says from when its figures are; once the server is there again it goes on by itself."""
    with serving(settings) as live:
        scene = Scene.played(db, 3)
        work = scene.take()
        port = live.client.base_url.port
        visit.page.goto(f"{live.client.base_url}/studies/1")
        expect(visit.page.locator("#pulse")).to_have_text("Live")
    expect(visit.page.locator("#pulse")).to_contain_text("Server does not answer")
    expect(visit.page.locator("#live")).to_have_class("stale")
    scene.report(work, 1, 2, 3, 4)
    with serving(settings.model_copy(update={"port": port})):
        expect(visit.page.locator("#pulse")).to_have_text("Live", timeout=15_000)
        expect(visit.page.locator(f"#trial-{work.trial}")).to_contain_text("4/12")
        expect(visit.page.locator("#live")).not_to_have_class("stale")


def test_keys_move_along_rows_and_show_what_they_do(
    visit: Visit, server: str, scene: Scene
) -> None:
    """j, k and Enter open a trial; ? lists the keys of the page; Escape closes the list."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    expect(page.locator("#pulse")).to_have_text("Live")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next and previous row")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    for key in ("j", "j", "j", "k"):
        page.keyboard.press(key)
    expect(page.locator("#trial-3 a.row")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/studies/1/trials/3$"))
    assert visit.complaints == []


def test_moments_are_in_the_readers_zone(windows: Windows, server: str, scene: Scene) -> None:
    """What stands behind "3 s ago" is the time on the reader's own clock."""
    page = windows.open(timezone_id="Asia/Shanghai", locale="en-GB").page
    page.goto(f"{server}/studies/1")
    expect(page.locator("#head time").first).to_have_attribute("title", re.compile(r"GMT\+8|CST"))
