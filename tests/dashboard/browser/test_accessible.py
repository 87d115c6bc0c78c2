"""Every page keeps WCAG 2.2 AA, as far as axe can tell, in both colour schemes."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browsers import Windows
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
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


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study in full swing: trials in every state."""
    return Scene.submit(db).play(14, running=2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    windows: Windows, server: str, scene: Scene, scheme: Literal["light", "dark"]
) -> None:
    """No page has what axe calls a violation."""
    page = windows.open(color_scheme=scheme).page
    found = {}
    for path in PATHS:
        page.goto(f"{server}{path}", wait_until="load")
        violations = Axe().run(page, options=RULES).response["violations"]
        found[path] = [(one["id"], [node["target"] for node in one["nodes"]]) for one in violations]

    assert {path: faults for path, faults in found.items() if faults} == {}
