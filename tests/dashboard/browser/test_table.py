"""The table of trials, the best panel and the comparison in a real browser: nothing reloads."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from api.dashboard import table_panel
from tests.browsers import Visit, Windows
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database


@pytest.fixture
def scene(server: str, db: Database, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A study with nine trials, five of them running, of which six fit a page of the table."""
    monkeypatch.setattr(table_panel, "PAGE", 6)
    return Scene.played(db, 4, running=5)


def open_study(visit: Visit, address: str) -> Page:
    """The page of the study, when its scripts have started; a mark tells whether it reloads."""
    page = visit.page
    page.goto(address)
    expect(page.locator("#filter")).to_have_role("combobox")
    page.evaluate("window.untouched = true")
    return page


def test_a_filter_is_applied_in_place_and_undone_by_back(
    visit: Visit, server: str, scene: Scene
) -> None:
    """The address has it, the box too; a mistake is told under the box and the table stays."""
    page = open_study(visit, f"{server}/studies/1")
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("number < 3")
    page.keyboard.press("Enter")
    expect(page.locator("#trials tbody tr")).to_have_count(3)
    expect(page).to_have_url(re.compile(r"filter=number"))
    page.locator("#filter").fill("mio < 3")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#mistake")).to_contain_text("did you mean 'miou'?")
    expect(page.locator("#filter")).to_have_value("mio < 3")
    page.go_back()
    expect(page.locator("#trials tbody tr")).to_have_count(3)
    expect(page.locator("#filter")).to_have_value("number < 3")
    page.go_back()
    expect(page.locator("#trials tbody tr")).to_have_count(6)
    assert page.evaluate("window.untouched") is True
    assert visit.complaints == []


def test_names_and_values_are_completed(visit: Visit, server: str, scene: Scene) -> None:
    """By arrows and Enter, word by word, as a combobox says it."""
    page = open_study(visit, f"{server}/studies/1")
    box = page.locator("#filter")
    box.focus()
    page.keyboard.type("optimizer.n")
    expect(box).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("= a")
    offers = page.locator("#filter-offers").get_by_role("option")
    expect(offers).to_have_text(["adamw"])
    offers.click()
    expect(box).to_have_value("optimizer.name = adamw ")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"filter=optimizer\.name"))
    assert visit.complaints == []


def test_order_pages_and_ranking_need_no_reload(visit: Visit, server: str, scene: Scene) -> None:
    """Each has its address."""
    page = open_study(visit, f"{server}/studies/1")
    page.locator("#sort-value").click()
    expect(page.locator("th[data-column='value']")).to_have_attribute("aria-sort", "descending")
    page.locator("#page-next").click()
    expect(page.locator("#trials tbody tr")).to_have_count(3)
    page.locator("#by").fill("recall.car")
    page.get_by_role("button", name="Rank").click()
    expect(page.locator("th[data-column='recall.car']")).to_have_attribute(
        "aria-sort", "descending"
    )
    expect(page.locator("#best")).to_contain_text("by recall.car")
    assert page.evaluate("window.untouched") is True
    assert visit.complaints == []


def test_a_selection_stays_over_pages_and_goes_to_the_comparison(
    visit: Visit, server: str, scene: Scene
) -> None:
    """By x on the row that j and k have reached, and by its box; the address carries it."""
    page = open_study(visit, f"{server}/studies/1")
    expect(page.locator("#compare")).to_be_disabled()
    for key in ("j", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("[data-number='7']")).to_be_checked()
    page.locator("#page-next").click()
    expect(page.locator("#trials tbody tr")).to_have_count(3)
    page.locator("[data-number='0']").check()
    page.locator("[data-number='2']").check()
    expect(page.locator("#selected .count")).to_have_text("3 selected")
    expect(page).to_have_url(re.compile(r"selected=7(%2C|,)0(%2C|,)2"))
    page.locator("#page-first").click()
    expect(page.locator("[data-number='7']")).to_be_checked()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#contestants li")).to_have_count(3)
    expect(page.locator("#overlay .plot canvas")).to_be_visible()
    page.get_by_role("link", name="Take B out of the comparison").click()
    expect(page.locator("#contestants li")).to_have_count(2)
    page.locator("#metric").select_option("train_loss")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(r"metric=train_loss"))
    assert visit.complaints == []


def test_columns_are_chosen_and_kept_in_the_browser(
    visit: Visit, server: str, scene: Scene
) -> None:
    """The next visit has them without asking; an address that names others is obeyed."""
    page = open_study(visit, f"{server}/studies/1")
    page.locator("#columns > summary").click()
    page.get_by_label("iou.car", exact=True).check()
    page.get_by_label("worker", exact=True).uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("th[data-column='iou.car']")).to_be_visible()
    expect(page.locator("th[data-column='worker']")).to_have_count(0)
    page.goto(f"{server}/studies/1")
    expect(page.locator("th[data-column='iou.car']")).to_be_visible()
    page.goto(f"{server}/studies/1?columns=state&columns=attempts")
    expect(page.locator("th[data-column]")).to_have_count(3)
    assert visit.complaints == []


def test_what_is_selected_is_downloaded(visit: Visit, server: str, scene: Scene) -> None:
    """As a file with the trials that were chosen, and no others."""
    page = open_study(visit, f"{server}/studies/1")
    page.locator("[data-number='5']").check()
    page.locator("[data-number='6']").check()
    page.locator("#downloads > summary").click()
    expect(page.locator("#downloads-what")).to_contain_text("The 2 selected trials")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = Path(download.value.path()).read_bytes().decode()
    assert [row["number"] for row in csv.DictReader(io.StringIO(text, newline=""))] == ["5", "6"]
    assert download.value.suggested_filename == "camvid-street-trials.csv"


def test_selected_trials_are_cancelled(visit: Visit, server: str, scene: Scene) -> None:
    """After a second look; the page comes back to its filter."""
    page = open_study(visit, f"{server}/studies/1?filter=number%20%3E%203")
    page.locator("[data-number='7']").check()
    page.locator("#cancel-selected > summary").click()
    page.get_by_role("button", name="Cancel the selected trials").click()
    expect(page).to_have_url(re.compile(r"filter=number\+%3E\+3"))
    expect(page.locator("#trial-7")).to_contain_text("cancelled by a user")
    assert visit.complaints == []


def test_the_best_is_shown_as_json_and_yaml_and_copied(
    windows: Windows, server: str, scene: Scene
) -> None:
    """By the keyboard as well: the forms are a group of radio buttons."""
    visit = windows.open(permissions=["clipboard-read", "clipboard-write"])
    page = open_study(visit, f"{server}/studies/1")
    page.locator("#best-document > summary").click()
    expect(page.locator("#text-json")).to_be_visible()
    page.locator("#as-json").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#text-yaml")).to_be_visible()
    expect(page.locator("#text-json")).to_be_hidden()
    page.locator("[data-copy-from='text-yaml']").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("study: camvid-street\n")
    assert visit.complaints == []
