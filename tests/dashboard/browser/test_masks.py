"""The viewer of validation images and their grid, in a real browser."""

import re
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from api.dashboard import assets
from api.settings import Settings
from tests.browsers import Visit, Windows, becomes
from tests.dashboard import pictures
from tests.dashboard.browser.test_accessible import RULES, faults
from tests.dashboard.scenes import Scene
from tests.dashboard.staging import staged
from tuner.service import examples
from tuner.spec.messages import OutcomeKind
from tuner.spec.views import StudyView
from tuner.store.engine import Database

TRIAL = "/studies/1/trials/1"
# The colour of a pane's middle pixel, as red, green, blue.
MIDDLE = """canvas => {
    const one = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
    const context = one.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, -Math.floor(canvas.width / 2), -Math.floor(canvas.height / 2));
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
INDICES = """async ([script, sheet]) =>
    Array.from(await (await import(script)).readIndices(sheet))"""


@pytest.fixture
def scene(server: str, db: Database, settings: Settings) -> Scene:
    """Two trials of three evaluations with pictures, the second one still running."""
    return Scene(db, _two_with_pictures(db, settings=settings))


@staged
def _two_with_pictures(db: Database, *, settings: Settings) -> StudyView:
    scene = Scene.submit(db)
    for quality in (0.3, 0.9):
        work = scene.take()
        scene.report(work, *range(1, 13))
        pictures.hand_in(scene, settings, work, 1, 6, 12, quality=quality)
        if quality < 0.5:
            scene.finish(work, OutcomeKind.COMPLETED, 12)
    return scene.study


def viewer(page: Page, address: str) -> None:
    """Open a page, and wait for its viewer."""
    page.goto(address)
    expect(page.locator(".viewer canvas")).to_have_count(4)
    expect(page.locator(".viewer .under")).not_to_be_empty()


def pane(page: Page, title: str) -> Any:
    """The canvas below a title."""
    return page.locator(".viewer figure").filter(has_text=re.compile(f"^{title}")).locator("canvas")


def test_classes_are_read_exactly(
    visit: Visit, server: str, scene: Scene, settings: Settings
) -> None:
    """Every index as it was written, whatever a browser makes of colours; all else is refused."""
    visit.page.goto(f"{server}{TRIAL}")
    found = examples.of_trial(scene.db, 1, 1)
    assert found.truth is not None
    script = f"{server}{assets.address('sheets.js')}"
    for sheet in (found.truth, found.predictions[-1]):
        asked = [script, sheet.model_dump(mode="json")]
        assert visit.page.evaluate(INDICES, asked) == pictures.indices(settings, sheet)
    assert found.photos is not None
    text = f"asked => ({INDICES})(asked).then(() => '', error => error.message)"
    narrow = found.predictions[0].model_copy(update={"width": 8})
    for sheet, said in ((found.photos, "not a PNG"), (narrow, "another form")):
        asked = [script, {**sheet.model_dump(mode="json"), "id": sheet.id}]
        assert said in visit.page.evaluate(text, asked)


def test_image_epoch_and_view_are_in_the_address(visit: Visit, server: str, scene: Scene) -> None:
    """What one looks at can be sent to somebody else, and the back button undoes it."""
    page = visit.page
    viewer(page, f"{server}{TRIAL}")
    page.locator(".viewer .thumbs button").nth(2).click()
    image = re.search(r"image=(\d+)", page.url)
    assert image is not None
    page.get_by_role("slider", name="Epoch").press("ArrowLeft")
    expect(page.locator(".viewer output")).to_have_text("6")
    pane(page, "Truth").dblclick()
    expect(page).to_have_url(re.compile(r"zoom=2\.000"))
    assert "epoch=6" in page.url
    seen = pane(page, "Prediction").evaluate(MIDDLE)
    page.reload()
    expect(page.locator(".viewer output")).to_have_text("6")
    expect(page.locator(".viewer .thumbs [aria-pressed='true']")).to_have_attribute(
        "title", page.locator(".viewer .thumbs button").nth(2).get_attribute("title") or ""
    )
    assert becomes(pane(page, "Prediction"), MIDDLE, seen)
    page.go_back()
    expect(page.locator(".viewer .thumbs button").first).to_have_attribute("aria-pressed", "true")
    assert visit.complaints == []


def test_panes_move_together(visit: Visit, server: str, scene: Scene) -> None:
    """Wheel, drag, buttons and keys change all four; the whole image comes back."""
    page = visit.page
    viewer(page, f"{server}{TRIAL}")
    truth = pane(page, "Truth")
    before = [pane(page, name).evaluate(MIDDLE) for name in ("Image", "Errors")]
    truth.click()
    page.mouse.wheel(0, -400)
    expect(page).to_have_url(re.compile(r"zoom=1\.3"))
    box = truth.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 90)
    page.mouse.up()
    moved = page.url
    truth.press("+")
    truth.press("ArrowRight")
    assert page.url != moved
    truth.press("0")
    assert "view" not in page.url
    for name, seen in zip(("Image", "Errors"), before, strict=True):
        assert becomes(pane(page, name), MIDDLE, seen)
    page.get_by_role("button", name="Zoom in").click()
    assert "zoom=2.000" in page.url
    assert visit.complaints == []


def test_classes_can_be_hidden(visit: Visit, server: str, scene: Scene) -> None:
    """A hidden class lets the photo through; with Shift only one is left; pixels say theirs."""
    page = visit.page
    viewer(page, f"{server}{TRIAL}")
    pane(page, "Errors").hover()
    said = re.compile(r"truth \w+ · prediction \w+")
    expect(page.locator(".viewer .under")).to_contain_text(said)
    named = page.locator(".viewer .classes button")
    painted = pane(page, "Truth").evaluate(MIDDLE)
    photo = pane(page, "Image").evaluate(MIDDLE)
    first = named.first.inner_text()
    for button in named.all():
        button.click()
    expect(page.locator(".viewer .classes [aria-pressed='true']")).to_have_count(0)
    assert becomes(pane(page, "Truth"), MIDDLE, photo)
    assert photo != painted
    named.first.click(modifiers=["Shift"])
    expect(page.locator(".viewer .classes [aria-pressed='true']")).to_have_text(first)
    page.get_by_label("Opacity").fill("0")
    assert "opacity=0" in page.url
    assert visit.complaints == []


def test_a_new_epoch_arrives(visit: Visit, server: str, db: Database, settings: Settings) -> None:
    """Who looks at the last epoch follows it; who looks at an earlier one stays there."""
    scene = Scene.submit(db)
    work = scene.take()
    scene.report(work, 1)
    pictures.hand_in(scene, settings, work, 1)
    page = visit.page
    viewer(page, f"{server}/studies/1/trials/0")
    expect(page.locator("#pulse")).to_have_text("Live")
    pictures.hand_in(scene, settings, work, 2)
    scene.report(work, 2)
    expect(page.locator(".viewer output")).to_have_text("2")
    page.get_by_role("slider", name="Epoch").press("ArrowLeft")
    pictures.hand_in(scene, settings, work, 3)
    scene.report(work, 3)
    expect(page.get_by_role("slider", name="Epoch")).to_have_attribute("max", "2")
    expect(page.locator(".viewer output")).to_have_text("1")
    assert visit.complaints == []


def test_trials_stand_side_by_side(visit: Visit, server: str, scene: Scene) -> None:
    """Another page may show several: one truth, and a prediction of each."""
    page = visit.page
    viewer(page, f"{server}{TRIAL}")
    page.evaluate(
        """() => {
            document.getElementById('masks').remove();
            const place = document.createElement('section');
            Object.assign(place.dataset, { module: 'masks', trials: '1:0,1:1' });
            place.id = 'beside';
            document.querySelector('main').append(place);
            document.dispatchEvent(new Event('segtune:refreshed'));
        }"""
    )
    captions = page.locator("#beside figcaption")
    expect(captions).to_have_count(4)
    assert [text.split()[0] for text in captions.all_inner_texts()] == [
        "Image", "Truth", "Trial", "Trial",
    ]  # fmt: skip
    page.locator("#beside select").select_option("errors")
    assert "show=errors" in page.url
    assert visit.complaints == []


def test_the_grid_paints_without_a_round_trip(visit: Visit, server: str, scene: Scene) -> None:
    """Opacity and errors at once, kept in the address and in the links to other rows."""
    page = visit.page
    page.goto(f"{server}/studies/1/images")
    mask = page.locator("#images-0 image.mask").first
    page.get_by_label("Opacity").fill("30")
    expect(mask).to_have_attribute("opacity", "0.3")
    page.get_by_label("Show").select_option("errors")
    expect(mask).to_have_attribute("href", re.compile("^blob:"))
    assert re.search(r"opacity=30.*show=errors", page.url)
    page.locator("thead a").first.click()
    expect(page).to_have_url(re.compile(r"sort=image\.\d+.*show=errors|show=errors.*sort=image"))
    expect(page.locator("#images-0 image.mask").first).to_have_attribute(
        "href", re.compile("^blob:")
    )
    page.locator("#images-0 td a").first.click()
    expect(page.locator(".viewer .thumbs [aria-pressed='true']")).to_have_count(1)
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_are_for_everybody(
    windows: Windows, server: str, scene: Scene, scheme: Literal["light", "dark"]
) -> None:
    """Axe finds nothing, and a phone is wide enough."""
    page = windows.open(color_scheme=scheme, viewport={"width": 390, "height": 844}).page
    found = {}
    for path in ("/studies/1", "/studies/1/images", TRIAL):
        page.goto(f"{server}{path}", wait_until="load")
        if path == TRIAL:
            expect(page.locator(".viewer canvas")).to_have_count(4)
        found[path] = faults(page, RULES, ".masks")
        box = page.locator(".masks").first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
    assert {path: said for path, said in found.items() if said} == {}


def test_looks_of_the_pictures_ask_the_server_for_nothing(
    visit: Visit, server: str, scene: Scene
) -> None:
    """Opacity, zoom and classes are in the address, but no chart and no table is about them."""
    page = visit.page
    viewer(page, f"{server}{TRIAL}")
    expect(page.locator("#pulse")).to_have_text("Live")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Opacity").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Zoom in").click()
    page.locator(".viewer .classes button").first.click()
    expect(page).to_have_url(re.compile(r"opacity=80.*zoom=2.*hide="))
    page.locator(".viewer .thumbs button").nth(1).click()
    page.go_back()
    expect(page).to_have_url(re.compile(r"opacity=80.*zoom=2.*hide="))
    page.evaluate("new Promise((done) => setTimeout(done))")
    assert [url for url in asked if "/partials/" in url] == []


def test_a_broken_sheet_takes_no_other_with_it(visit: Visit, server: str, scene: Scene) -> None:
    """Its pane says why; the other panes of the trial, or the other trials, are drawn."""
    page = visit.page
    first, second = (examples.of_trial(scene.db, 1, number) for number in (0, 1))
    assert first.truth is not None
    assert second.truth is not None
    broken = {second.truth.id, first.predictions[-1].id}
    gif = {"status": 200, "content_type": "image/png", "body": b"GIF89a"}
    for number in broken:
        page.route(f"**/api/v1/artifacts/{number}", lambda route: route.fulfill(**gif))
    page.goto(f"{server}{TRIAL}")
    figures = page.locator(".viewer figure")
    expect(figures.filter(has_text="Truth")).to_contain_text("It cannot be shown: not a PNG")
    expect(figures.filter(has_text="Prediction")).to_contain_text("IoU")
    expect(figures.filter(has_text="Prediction").locator(".fault")).to_have_count(0)
    page.goto(f"{server}/compare?trials=1:0,1:1")
    expect(figures.filter(has_text="Trial 0")).to_contain_text("It cannot be shown: not a PNG")
    expect(figures.filter(has_text="Trial 1")).to_contain_text("IoU")
    expect(page.locator(".viewer .fault")).to_have_count(1)
