"""The list of studies and the editor in a real browser: by keyboard, by mouse, without scripts."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, Route, expect

from api.settings import Settings
from tests.api.samples import serving
from tests.browsers import Visit, Windows
from tests.dashboard.browser.test_accessible import RULES, faults
from tests.dashboard.scenes import Scene, document
from tuner.configs import studies as samples
from tuner.service import overview, studies
from tuner.store.engine import Database

TEXT = samples.text("camvid")


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """Three studies, one of them at work."""
    Scene.submit(db, "roads")
    Scene.submit(db, "cells")
    return Scene.played(db, 4, running=1)


def _fill(page: Page, text: str) -> None:
    page.locator("#text").fill(text)


def test_search_narrows_while_one_types(visit: Visit, server: str, scene: Scene) -> None:
    """`/` leads to the box, the address follows, and back brings the list back."""
    page = visit.page
    page.goto(f"{server}/")
    expect(page.locator("#pulse")).to_have_text("Live")
    page.keyboard.press("/")
    page.keyboard.type("roa")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"\?search=roa$"))
    page.locator("#sort-name").click()
    expect(page).to_have_url(re.compile(r"search=roa.*sort=name"))
    page.go_back()
    expect(page.locator("#search")).to_have_value("roa")
    page.goto(f"{server}/?search=nowhere")
    expect(page.locator("#list tbody")).to_contain_text("No study is like that")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("#list tbody tr")).to_have_count(3)
    assert visit.complaints == []


def test_delete_from_a_row_and_undo(visit: Visit, server: str, scene: Scene) -> None:
    """The row's menu asks first where trials run; what is deleted comes back."""
    page = visit.page
    page.goto(f"{server}/?sort=name")
    page.get_by_role("button", name="Actions: camvid-street").click()
    menu = page.locator("#menu-3")
    expect(menu).to_be_visible()
    expect(menu).to_contain_text("1 running trial stops")
    menu.get_by_role("button", name="Stop and delete").click()
    expect(page.locator("#undo")).to_contain_text("camvid-street is deleted")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Undo: camvid-street").click()
    expect(page.locator("#study-3")).to_contain_text("running")
    expect(page).to_have_url(re.compile(r"\?sort=name$"))
    assert visit.complaints == []


def test_edit_from_the_study_itself(visit: Visit, server: str, scene: Scene) -> None:
    """A small form, prefilled; the page shows what was saved."""
    page = visit.page
    page.goto(f"{server}/studies/3")
    page.locator("#edit > summary").click()
    page.get_by_label("Priority").fill("77")
    page.get_by_label("Device hours").fill("1.5")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#head")).to_contain_text("priority 77")
    expect(page.locator("#facts")).to_contain_text("of 1.5 h")
    page.locator("#delete > summary").click()
    page.get_by_role("button", name="Delete the study").click()
    expect(page.locator("#undo")).to_contain_text("camvid-street is deleted")
    assert visit.complaints == []


def test_mistakes_come_and_go_while_one_types(visit: Visit, server: str, db: Database) -> None:
    """At their lines and in a list that leads there; in the end there is a plan and a study."""
    page = visit.page
    page.goto(f"{server}/new")
    expect(page.locator("#plan")).to_be_visible()
    _fill(page, TEXT.replace("epochs: 9", "epochs: many").replace("trials: 14", "trails: 14"))
    expect(page.locator("#wrongs li")).to_have_count(2)
    expect(page.locator("#line-23 .said")).to_contain_text("valid integer")
    expect(page.locator("#line-37")).to_have_class("wrong")
    expect(page.locator("#plan")).to_have_count(0)
    page.locator("#wrongs a").nth(1).click()
    expect(page.locator("#text")).to_be_focused()
    start = page.evaluate("document.getElementById('text').selectionStart")
    text = page.locator("#text").input_value()
    assert text[start:].startswith("trails")
    page.evaluate("document.getElementById('text').setSelectionRange(0, 0)")
    page.keyboard.press("Enter")
    expect(page.locator("#line-38")).to_have_class("wrong")  # goes with its line at once
    _fill(page, TEXT)
    expect(page.locator("#plan")).to_be_visible()
    expect(page.locator(".wrong")).to_have_count(0)
    page.locator("#text").press("Control+Enter")
    expect(page).to_have_url(re.compile(r"/studies/1$"))
    assert overview.study(db, 1).name == "camvid-street"
    page.goto(f"{server}/new")
    expect(page.locator("#kept")).to_be_hidden()
    assert visit.complaints == []


def test_tab_indents_and_escape_lets_go(visit: Visit, server: str) -> None:
    """Nobody is caught in the text; several lines are moved at once; undo works."""
    page = visit.page
    page.goto(f"{server}/new")
    box = page.locator("#text")
    _fill(page, "base:")
    box.press("End")
    for key in ("Enter", "m", "Enter", "Tab", "n"):
        box.press(key)
    assert box.input_value() == "base:\n  m\n    n"
    box.press("Control+a")
    box.press("Tab")
    assert box.input_value() == "  base:\n    m\n      n"
    box.press("Shift+Tab")
    assert box.input_value() == "base:\n  m\n    n"
    box.press("Control+z")
    assert box.input_value() == "  base:\n    m\n      n"
    box.press("Escape")
    expect(page.locator("#leaving")).to_have_text("Tab leaves the text now.")
    box.press("Tab")
    expect(page.locator("#submit")).to_be_focused()


def test_a_text_outlives_a_reload(visit: Visit, server: str) -> None:
    """What was typed is there again, and can be discarded."""
    page = visit.page
    page.goto(f"{server}/new?sample=demo")
    original = page.locator("#text").input_value()
    _fill(page, "name: mine")
    expect(page.locator("#wrongs")).to_be_visible()
    page.reload()
    expect(page.locator("#kept")).to_be_visible()
    expect(page.locator("#text")).to_have_value("name: mine")
    page.get_by_role("button", name="Discard it").click()
    expect(page.locator("#text")).to_have_value(original)
    page.goto(f"{server}/new")
    expect(page.locator("#text")).to_have_value(TEXT)


def test_only_the_last_answer_counts(visit: Visit, server: str) -> None:
    """An answer that comes late says nothing of a text that is another one by now."""
    page = visit.page
    page.goto(f"{server}/new")
    held = list[Route]()
    page.route("**/partials/check", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/partials/check"):
        _fill(page, "name: 5")
    _fill(page, TEXT)
    expect(page.locator("#status")).to_have_text("no mistakes")
    with suppress(Error):  # nobody waits for it any more
        held[0].fulfill(body='<section id="wrongs"><a data-line="1">late</a></section>')
    expect(page.locator("#wrongs")).to_have_count(0)
    expect(page.locator("#status")).to_have_text("no mistakes")


def test_a_server_that_is_gone_costs_no_text(visit: Visit, server: str) -> None:
    """Neither the check nor the submission loses it, and it goes on by itself."""
    page = visit.page
    page.goto(f"{server}/new")
    page.route("**/partials/check", lambda route: route.abort())
    page.route("**/new", lambda route: route.abort())
    _fill(page, TEXT.replace("camvid-street", "mine"))
    expect(page.locator("#status")).to_contain_text("Server does not answer")
    page.locator("#submit").click()
    expect(page.locator("#status")).to_contain_text("the text is kept")
    assert "name: mine" in page.locator("#text").input_value()
    page.unroute("**/new")
    page.locator("#submit").click()
    expect(page).to_have_url(re.compile(r"/studies/1$"))


def test_a_file_fills_the_text(visit: Visit, server: str, tmp_path: Path) -> None:
    """Chosen from the disk, as JSON too."""
    path = tmp_path / "study.json"
    path.write_text('{\r\n  "name": "from-a-file",\r\n  "trails": 5}')
    page = visit.page
    page.goto(f"{server}/new")
    page.locator("#file").set_input_files(path)
    expect(page.locator("#text")).to_have_value(re.compile("from-a-file"))
    expect(page.locator("#line-3")).to_have_class("wrong")
    assert visit.complaints == []


def test_without_scripts_a_study_is_written(windows: Windows, server: str, db: Database) -> None:
    """Check and submit are buttons of a plain form; mistakes stand at their lines."""
    page = windows.open(java_script_enabled=False).page
    page.goto(f"{server}/new")
    _fill(page, TEXT.replace("epochs: 9", "epochs: many"))
    page.locator("#submit").click()
    expect(page.locator("#line-23 .said")).to_be_visible()
    assert "epochs: many" in page.locator("#text").input_value()
    _fill(page, TEXT)
    page.locator("#check").click()
    expect(page.locator("#plan")).to_be_visible()
    page.locator("#submit").click()
    expect(page.locator("h1")).to_contain_text("camvid-street")
    page.goto(f"{server}/")
    page.locator("#search").fill("camvid")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)


@pytest.mark.parametrize("width", [390, 1440])
def test_states_of_the_pages_keep_to_the_rules(
    windows: Windows, server: str, db: Database, scene: Scene, width: int
) -> None:
    """Menus open, mistakes shown, a deleted study: axe finds nothing, nothing scrolls sideways."""
    studies.delete(db, "cells")
    visit = windows.open(viewport={"width": width, "height": 844})
    page = visit.page
    found = {}

    def look(name: str, part: str = "html") -> None:
        found[name] = faults(page, RULES, part)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name

    page.goto(f"{server}/")
    page.locator("#more-3").click()
    look("menu of a row")
    page.goto(f"{server}/?search=nowhere")
    look("no match")
    page.goto(f"{server}/studies/3")
    page.locator("#edit > summary").click()
    look("edit", "#head")  # the open form covers part of what is below
    page.goto(f"{server}/new?clone=3")
    page.locator("#begin > summary").click()
    look("plan")
    _fill(page, "name: 5")
    expect(page.locator("#wrongs")).to_be_visible()
    look("mistakes")
    assert {name: said for name, said in found.items() if said} == {}
    assert visit.complaints == []


def test_a_new_study_appears_at_once(visit: Visit, settings: Settings) -> None:
    """The list hears of it, long before it would ask by itself."""
    with serving(settings) as live:
        page = visit.page
        page.goto(str(live.client.base_url))
        expect(page.locator("#pulse")).to_have_text("Live")
        assert live.client.post("/api/v1/studies", json=document("night")).status_code == 201
        expect(page.get_by_role("link", name="night")).to_be_visible(timeout=4_000)
        assert visit.complaints == []
