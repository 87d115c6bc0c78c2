"""The page of a trial in a real browser: its curves, its choices, and what one can do."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browsers import Visit, Windows
from tests.dashboard.scenes import Scene
from tests.dashboard.staging import staged
from tuner.service import overview
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import TrialState
from tuner.spec.views import StudyView
from tuner.store.engine import Database


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study whose trial 0 has completed and 1 has failed."""
    return Scene(db, _two_trials(db))


@staged
def _two_trials(db: Database) -> StudyView:
    scene = Scene.submit(db)
    scene.train()
    failed = scene.take("gpu-1")
    scene.report(failed, 1, 2)
    scene.finish(failed, OutcomeKind.FAILED, 2, error="loss is nan", error_kind="diverged")
    return scene.study


def test_curves_are_chosen_in_place(visit: Visit, server: str, scene: Scene) -> None:
    """View, axis, metrics and smoothing are in the address, and the back button undoes them."""
    page = visit.page
    page.goto(f"{server}/studies/1/trials/0")
    expect(page.locator("#plots canvas")).to_be_visible()
    page.evaluate("window.untouched = true")
    page.locator("#curves").get_by_role("link", name="Classes").click()
    expect(page).to_have_url(re.compile(r"\?view=classes$"))
    expect(page.locator("#plots .multiple")).to_have_count(9)
    page.locator("#curves").get_by_role("link", name="time").click()
    expect(page.locator("#curves .foot")).to_contain_text("minutes")
    page.locator("#chooser > summary").click()
    page.get_by_label("car", exact=True).check()
    expect(page).to_have_url(re.compile(r"axis=time&metric=iou\.car$"))
    page.get_by_label("Smoothing").fill("0.6")
    expect(page).to_have_url(re.compile(r"smooth=0\.6"))
    expect(page.locator("#plots .multiple path.raw")).to_have_count(1)
    page.go_back()
    expect(page.locator("#plots .multiple")).to_have_count(9)
    assert page.evaluate("window.untouched") is True
    assert visit.complaints == []


def test_a_choice_keeps_the_rest_of_the_address(visit: Visit, server: str, scene: Scene) -> None:
    """What other panels have there stays; an enlarged stretch goes with the axis that it is of."""
    page = visit.page
    page.goto(f"{server}/studies/1/trials/0?wrap=1&zoom.trial=2~5")
    expect(page.locator("#plots canvas")).to_be_visible()
    page.locator("#curves").get_by_role("link", name="Classes").click()
    expect(page).to_have_url(re.compile(r"\?wrap=1&zoom\.trial=2(~|%7E)5&view=classes$"))
    page.locator("#curves").get_by_role("link", name="time").click()
    expect(page).to_have_url(re.compile(r"\?wrap=1&view=classes&axis=time$"))
    assert visit.complaints == []


def test_curves_follow_a_running_trial(visit: Visit, server: str, scene: Scene) -> None:
    """What was chosen and opened stays while epochs come in, and the canvas with it."""
    work, page = scene.take(), visit.page
    scene.report(work, 1, 2)
    page.goto(f"{server}/studies/1/trials/{work.trial}?view=scores")
    expect(page.locator("#pulse")).to_have_text("Live")
    expect(page.locator("#plots canvas")).to_be_visible()
    page.evaluate("window.canvas = document.querySelector('#plots canvas')")
    page.locator("#chooser > summary").click()
    with page.expect_response(re.compile(r"/curves\?view=scores")):
        scene.report(work, 3)
    expect(page.locator("#facts")).to_contain_text("3 / 12")
    expect(page.locator("#plots canvas")).to_be_visible()
    assert page.evaluate("window.canvas === document.querySelector('#plots canvas')")
    assert page.evaluate("document.getElementById('chooser').open")
    assert visit.complaints == []


def test_a_failed_trial_is_retried_and_a_clone_enqueued(
    visit: Visit, server: str, scene: Scene
) -> None:
    """Retry waits again; the clone's form shows only what counts, and leads to the new trial."""
    page = visit.page
    page.goto(f"{server}/studies/1/trials/1")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("h1")).to_contain_text("waiting")
    page.locator("#clone > summary").click()
    rates = page.locator("#clone [data-path='optimizer.lr']")
    expect(rates.locator("visible=true").get_by_role("spinbutton")).to_have_count(1)
    page.get_by_label("optimizer.name").select_option(label="adamw")
    expect(rates.nth(1)).to_be_visible()
    expect(rates.nth(0)).to_be_hidden()
    rates.nth(1).get_by_role("spinbutton").fill("0.0007")
    page.get_by_role("button", name="Enqueue").click()
    expect(page).to_have_url(re.compile(r"/trials/2$"))
    expect(page.locator("#head")).to_contain_text("asked for by hand")
    params = overview.trial(scene.db, 1, 2).params
    assert ("adamw", 0.0007) == (params["optimizer.name"], params["optimizer.lr"])
    page.locator("#cancel > summary").click()
    page.get_by_role("button", name="Cancel trial 2").click()
    expect(page.locator("h1")).to_contain_text("cancelled")
    assert TrialState.CANCELLED is overview.trial(scene.db, 1, 2).state
    assert visit.complaints == []


def test_keys_lead_to_the_neighbours(visit: Visit, server: str, scene: Scene) -> None:
    """`]` and `[` go through the trials of a study, with what was chosen."""
    page = visit.page
    page.goto(f"{server}/studies/1/trials/0?view=speed")
    page.keyboard.press("]")
    expect(page).to_have_url(re.compile(r"/trials/1\?view=speed$"))
    page.keyboard.press("[")
    expect(page).to_have_url(re.compile(r"/trials/0\?view=speed$"))


@pytest.mark.parametrize("width", [390, 1440])
def test_everything_open_is_accessible_and_fits(
    windows: Windows, server: str, scene: Scene, width: int
) -> None:
    """With every fold open axe finds nothing, and nothing scrolls sideways."""
    visit = windows.open(viewport={"width": width, "height": 900})
    visit.page.goto(f"{server}/studies/1/trials/1?axis=time&smooth=0.6")
    expect(visit.page.locator("#plots canvas")).to_be_visible()
    visit.page.evaluate(
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
    )
    found = Axe().run(visit.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag22aa"]})

    assert [] == [(one["id"], one["nodes"]) for one in found.response["violations"]]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.complaints == []


def test_a_matrix_of_many_classes_is_read_by_pointing(
    visit: Visit, server: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too small for numbers, it says what lies under the pointer, and lists the largest."""
    monkeypatch.setattr("api.dashboard.confusion.LEGIBLE", 2)
    page = visit.page
    page.goto(f"{server}/studies/1/trials/0")
    image = page.locator("#matrix svg")
    box = image.bounding_box()
    assert box is not None
    image.hover(position={"x": box["width"] / 18, "y": box["height"] / 18})
    expect(page.locator("#matrix-said")).to_contain_text("sky predicted as sky")
    expect(page.locator("#mistakes tbody tr")).to_have_count(12)
    assert visit.complaints == []
