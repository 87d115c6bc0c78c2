"""Interactive charts in a real browser: drawn under the page's policy, they follow its address."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browsers import Visit
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study with trials of every kind."""
    return Scene.played(db, 16, running=2, trials=40)


def drawn(page: Page, chart: str, expression: str) -> Any:
    """What is true of a chart that has been drawn: `chart` is ECharts' instance, `o` its option."""
    canvas = page.locator(f"#{chart}-plot canvas")
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_be_visible()
    return page.evaluate(
        f"""() => {{
            const chart = echarts.getInstanceByDom(document.getElementById("{chart}-plot"));
            const o = chart.getOption();
            return {expression};
        }}"""
    )


def place(page: Page, chart: str, series: str, index: int) -> tuple[float, float]:
    """Where a mark of a chart lies on the screen."""
    x, y = drawn(
        page,
        chart,
        f"""chart.convertToPixel({{ seriesId: "{series}" }},
            o.series.find((one) => one.id === "{series}").data[{index}].value)""",
    )
    box = page.locator(f"#{chart}-plot").bounding_box()
    assert box is not None
    return box["x"] + x, box["y"] + y


def test_a_mark_of_the_history_leads_to_its_trial(visit: Visit, server: str, scene: Scene) -> None:
    """The chart takes the SVG's place, its marks are the trials, and nobody complains."""
    visit.page.goto(f"{server}/studies/1")
    marks = drawn(visit.page, "history", "o.series.flatMap((one) => one.data).length")
    assert marks >= 16
    expect(visit.page.locator("#history > svg")).to_be_hidden()
    at = place(visit.page, "history", "completed", 1)
    trial = drawn(
        visit.page, "history", 'o.series.find((one) => one.id === "completed").data[1].trial'
    )
    visit.page.mouse.move(*at)
    expect(visit.page.locator(f"#trial-{trial}")).to_have_class(re.compile("pointed"))
    visit.page.mouse.click(*at)
    expect(visit.page).to_have_url(re.compile(rf"/studies/1/trials/{trial}$"))
    assert visit.complaints == []


def test_a_stretch_stays_enlarged(visit: Visit, server: str, scene: Scene) -> None:
    """It is in the address, survives a report and a reload, and a double click shows all again."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    drawn(page, "history", "true")
    box = page.locator("#history-plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.move(box["x"] + 400, box["y"] + 100)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"zoom\.history=\d"))
    stretch = drawn(page, "history", "o.dataZoom[0].startValue")
    ended = page.locator("#facts dd").nth(2)
    before = ended.text_content()
    scene.train()
    expect(ended).not_to_have_text(before or "")
    assert drawn(page, "history", "o.dataZoom[0].startValue") == pytest.approx(stretch)
    page.reload()
    assert drawn(page, "history", "o.dataZoom[0].startValue") == pytest.approx(stretch, rel=1e-3)
    page.mouse.dblclick(box["x"] + 300, box["y"] + 100)
    expect(page).not_to_have_url(re.compile("zoom"))
    assert visit.complaints == []


def test_a_choice_changes_the_chart_and_not_the_page(
    visit: Visit, server: str, scene: Scene
) -> None:
    """Back undoes it, and the link does the same where there is no script."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    page.evaluate("window.untouched = true")
    drawn(page, "history", "true")
    page.locator("#over-epochs").click()
    expect(page.locator("#over-epochs")).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile("axis=epochs"))
    page.wait_for_function(
        '() => echarts.getInstanceByDom(document.getElementById("history-plot"))'
        ".getOption().xAxis[0].max > 40"
    )
    page.go_back()
    expect(page.locator("#over-trials")).to_have_attribute("aria-current", "true")
    assert page.evaluate("window.untouched") is True
    assert visit.complaints == []


def test_charts_take_the_scheme_of_the_page(visit: Visit, server: str, scene: Scene) -> None:
    """Switched by hand, its lines are those of the other scheme at once."""
    visit.page.goto(f"{server}/studies/1")
    light = drawn(visit.page, "history", "o.xAxis[0].axisLabel.color")
    visit.page.locator("#theme").click()
    assert drawn(visit.page, "history", "o.xAxis[0].axisLabel.color") != light


def test_a_chart_that_leaves_the_page_is_disposed_of(
    visit: Visit, server: str, scene: Scene
) -> None:
    """A page that is open all day keeps nothing of what it no longer shows."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    drawn(page, "history", "true")
    page.evaluate(
        """() => {
            const place = document.getElementById("history-plot");
            window.old = echarts.getInstanceByDom(place);
            document.getElementById("history").remove();
            document.dispatchEvent(new Event("segtune:refreshed"));
        }"""
    )
    assert page.evaluate("window.old.isDisposed()") is True
    assert visit.complaints == []


def test_another_metric_is_drawn_in_place(visit: Visit, server: str, scene: Scene) -> None:
    """It is in the address, on a logarithmic axis for a loss; the page is not loaded again."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    page.evaluate("window.untouched = true")
    lines = drawn(page, "curves", "o.series.length")
    assert lines == 18
    page.locator("#curves-metric").select_option("train_loss")
    expect(page).to_have_url(re.compile(r"\?metric=train_loss$"))
    page.wait_for_function(
        '() => echarts.getInstanceByDom(document.getElementById("curves-plot"))'
        '.getOption().yAxis[0].type === "log"'
    )
    assert page.evaluate("window.untouched") is True
    page.go_back()
    expect(page.locator("#curves-metric")).to_have_value("miou")
    assert visit.complaints == []


def test_analyses_are_drawn_one_at_a_time(visit: Visit, server: str, scene: Scene) -> None:
    """A tab is a link; its chart comes when it is open, and the other's is disposed of."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    for name in ("timeline", "survival", "sources"):
        page.locator(f"#analysis-{name}").click()
        assert drawn(page, name, "o.series.length") > 0
        expect(page.locator("#analysis figure")).to_have_count(1)
    expect(page).to_have_url(re.compile("analysis=sources"))
    page.go_back()
    expect(page.locator("#survival")).to_be_visible()
    assert visit.complaints == []


def test_charts_obey_the_filter_of_the_table(visit: Visit, server: str, scene: Scene) -> None:
    """History and curves show what the table shows."""
    visit.page.goto(f"{server}/studies/1?filter=state+%3D+completed")
    states = drawn(
        visit.page,
        "history",
        "o.series.filter((one) => one.type === 'scatter').map((one) => one.id)",
    )
    assert states == ["completed"]
    assert drawn(visit.page, "curves", "o.series.length") < 18
    assert visit.complaints == []
