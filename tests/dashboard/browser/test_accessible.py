"""Every page keeps WCAG 2.2 AA, as far as axe can tell, in both colour schemes."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from tests.browsers import Windows
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

Rules = Mapping[str, list[str]]
# In the dark only colours differ.
COLOURS: Rules = {"runOnly": ["color-contrast"]}
RULES: Rules = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
}
PATHS = (
    "/",
    "/new",
    "/studies/1",
    "/studies/1?filter=mio%20%3E%20.2",
    "/studies/1/images",
    "/studies/1/trials/1",
    "/compare?trials=1:1,1:2",
    "/workers",
    "/queue",
    "/login",
    "/nowhere",
)
# Folds within the page, without menus that lie over it: of those one is open at a time.
OPEN_ALL = "document.querySelectorAll('details:not(.menu)').forEach((one) => { one.open = true; })"
# What sticks out to the right where the page scrolls sideways.
WIDER = """() => {
  if (document.documentElement.scrollWidth <= innerWidth) return [];
  const out = [...document.querySelectorAll("body *")].filter((one) =>
    one.getBoundingClientRect().right > innerWidth && !one.closest(".scroll, pre, code, svg"));
  return ["page", ...out.map((one) => `${one.nodeName}#${one.id}.${one.className}`).slice(0, 8)];
}"""


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study in full swing: trials in every state."""
    return Scene.played(db, 14, running=2)


def faults(page: Page, rules: Rules, part: str = "html") -> list[Any]:
    """What axe calls a violation on a part of a page, and where."""
    asked = {**rules, "resultTypes": ["violations"]}
    found = Axe().run(page, part, asked).response["violations"]
    return [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390)])
def test_axe_finds_nothing(
    windows: Windows, server: str, scene: Scene, scheme: Literal["light", "dark"], width: int
) -> None:
    """No page has what axe calls a violation, on a desk or in a hand."""
    size: ViewportSize = {"width": width, "height": 900}
    page = windows.open(color_scheme=scheme, viewport=size).page
    found = {}
    for path in PATHS:
        page.goto(f"{server}{path}", wait_until="load")
        found[path] = faults(page, RULES if scheme == "light" else COLOURS)

    assert {path: said for path, said in found.items() if said} == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_is_wider_than_a_phone(
    windows: Windows, server: str, scene: Scene, language: str
) -> None:
    """Nothing but tables and code scrolls sideways, with all that can be opened open too."""
    visit = windows.open(viewport={"width": 390, "height": 844})
    visit.page.context.add_cookies([{"name": "segtune_language", "value": language, "url": server}])
    found = {}
    for path in PATHS:
        visit.page.goto(f"{server}{path}", wait_until="load")
        expect(visit.page.locator("html")).to_have_attribute("lang", language)
        visit.page.evaluate(OPEN_ALL)
        found[path] = visit.page.evaluate(WIDER)

    assert {path: wider for path, wider in found.items() if wider} == {}
