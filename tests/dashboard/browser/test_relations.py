"""Params and results in a real browser: a brush narrows the page, and the address keeps it."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browsers import Visit
from tests.dashboard.scenes import Scene
from tuner.service import overview
from tuner.store.engine import Database


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study with trials of every kind."""
    return Scene.played(db, 16, trials=40)


def axes(page: Page) -> list[str]:
    """Names of the axes that have been drawn, from left to right."""
    canvas = page.locator("#relation-parallel-plot canvas")
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_be_visible()
    found: list[str] = page.evaluate(
        """() => echarts.getInstanceByDom(document.getElementById("relation-parallel-plot"))
            .getOption().parallelAxis.map((axis) => axis.name)"""
    )
    return found


def brushed(page: Page, name: str) -> Any:
    """The stretches of an axis that are marked."""
    index = axes(page).index(name)
    return page.evaluate(
        f"""() => echarts.getInstanceByDom(document.getElementById("relation-parallel-plot"))
            .getModel().queryComponents({{ mainType: "parallelAxis", index: {index} }})[0]
            .activeIntervals"""
    )


def brush(page: Page, name: str, low: float, high: float) -> None:
    """Drag along an axis from one place between its ends to another."""
    index = axes(page).index(name)
    at = page.evaluate(
        f"""() => {{
            const place = document.getElementById("relation-parallel-plot");
            const model = echarts.getInstanceByDom(place).getModel();
            const system = model.getComponent("parallel").coordinateSystem;
            const dim = system.dimensions[{index}];
            return [{low}, {high}].map((each) => system.dataToPoint(each, dim));
        }}"""
    )
    box = page.locator("#relation-parallel-plot").bounding_box()
    assert box is not None
    (x, start), (_, end) = at
    page.mouse.move(box["x"] + x, box["y"] + start)
    page.mouse.down()
    page.mouse.move(box["x"] + x, box["y"] + (start + end) / 2, steps=3)
    page.mouse.move(box["x"] + x, box["y"] + end, steps=3)
    page.mouse.up()


def asked(page: Page) -> str:
    """The filter in the page's address."""
    return parse_qs(urlsplit(page.url).query).get("filter", [""])[0]


def matching(scene: Scene) -> int:
    """Trials of the study that use SGD."""
    items = overview.trials(scene.db, 1, limit=100).items
    return sum(one.params["optimizer.name"] == "sgd" for one in items)


def test_a_brush_narrows_the_page(visit: Visit, server: str, scene: Scene) -> None:
    """The table shows what was brushed, the address holds it, "back" undoes it."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    page.evaluate("window.untouched = true")
    rows = page.locator("#trials tbody tr")
    expect(rows).to_have_count(16)
    brush(page, "optimizer", 0.02, 0.45)
    expect(page).to_have_url(re.compile("filter="))
    assert asked(page) == "optimizer.name = sgd"
    expect(rows).to_have_count(matching(scene))
    expect(page.locator("#narrowed code")).to_have_text("optimizer.name = sgd")
    page.reload()
    expect(rows).to_have_count(matching(scene))
    assert brushed(page, "optimizer") == [[0, 0.5]]
    brush(page, "lr", 0.3, 0.9)
    expect(page.locator("#narrowed code")).to_have_count(2)
    assert asked(page).startswith("optimizer.name = sgd and optimizer.lr >= ")
    page.go_back()
    expect(page.locator("#narrowed code")).to_have_count(1)
    page.go_back()
    expect(page.locator("#narrowed")).to_have_count(0)
    expect(rows).to_have_count(16)
    assert visit.complaints == []


def test_axes_are_ordered_and_narrowed_by_hand(visit: Visit, server: str, scene: Scene) -> None:
    """Without a mouse on the chart, and without leaving the page."""
    page = visit.page
    page.goto(f"{server}/studies/1?axes=optimizer.lr,optimizer.name,model.decoder")
    assert axes(page) == ["lr", "optimizer", "decoder", "miou"]
    page.evaluate("window.untouched = true")
    page.locator("#relations-axes summary").click()
    page.get_by_role("link", name="Move to the left: decoder").click()
    expect(page).to_have_url(re.compile("axes=optimizer.lr%2Cmodel.decoder%2Coptimizer.name"))
    legends = page.locator("#relations-axes legend")
    expect(legends).to_have_text(["lr", "decoder", "optimizer", "miou"])
    page.get_by_role("link", name="Hide: optimizer").click()
    expect(page.get_by_role("link", name="Hide: optimizer")).to_have_count(0)
    form = page.locator("#relations-axes form").filter(has_text="decoder").first
    form.get_by_label("ocr").uncheck()
    form.get_by_role("button", name="Apply").click()
    expect(page.locator("#narrowed code")).to_have_text("model.decoder = deeplabv3plus")
    assert page.evaluate("window.untouched") is True
    page.get_by_role("link", name="Take out model.decoder").click()
    expect(page.locator("#narrowed")).to_have_count(0)
    assert visit.complaints == []


@pytest.mark.parametrize("kind", ["slices", "contour", "ranks", "edf"])
def test_each_chart_is_drawn(visit: Visit, server: str, scene: Scene, kind: str) -> None:
    """In the place of the SVG, which stays for browsers without scripts; nobody complains."""
    page = visit.page
    page.goto(f"{server}/studies/1?among=trained")
    page.locator(f"#relations-relation-{kind}").click()
    canvas = page.locator(f"#relation-{kind}-plot canvas")
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_be_visible()
    expect(page.locator(f"#relation-{kind} svg.chart").first).to_be_hidden()
    assert f"relation={kind}" in page.url
    if kind == "contour":
        page.get_by_label("across").select_option("training.batch_size")
        expect(page).to_have_url(re.compile("x=training.batch_size"))
    assert visit.complaints == []


def test_the_first_trial_brings_the_chart(visit: Visit, server: str, db: Database) -> None:
    """A page that was opened before there was anything to draw needs no reload."""
    page = visit.page
    study = Scene.submit(db, trials=40)
    page.clock.install()
    page.goto(f"{server}/studies/1")
    expect(page.locator("#relations .none")).to_be_visible()
    expect(page.locator("#pulse")).to_have_text("Live")
    study.play(1)
    page.clock.fast_forward(6000)
    study.train()
    page.clock.fast_forward(6000)
    expect(page.locator("#relation-parallel")).to_have_count(1)
    assert visit.complaints == []
