"""Pages whose server is slow, hangs or is away: nothing is lost, and the page says so."""

from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect

from tests.browsers import Visit
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

PATIENCE, AGAIN = 10_100, 2_800  # milliseconds that a page waits for an answer, and until it asks
COUNT_EVENTS = """
window.heard = 0;
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (kind, act) {
    listen.call(this, kind, (event) => { window.heard += 1; act(event); });
};
"""


@pytest.fixture
def scene(server: str, db: Database) -> Scene:
    """A study with a few ended trials."""
    return Scene.played(db, 5)


class Gate:
    """Holds back the first answer to an address, which is made at once, until it is let through."""

    def __init__(self, page: Page, is_meant: Callable[[str], bool]) -> None:
        self._page = page
        self._held: tuple[Route, APIResponse] | None = None
        page.route(is_meant, self._meet)

    def _meet(self, route: Route) -> None:
        if self._held is None:
            self._held = (route, route.fetch())
        else:
            route.continue_()

    def wait(self) -> None:
        """Until there is an answer to hold back."""
        while self._held is None:
            self._page.evaluate("new Promise(requestAnimationFrame)")  # routes are met meanwhile

    def open(self) -> None:
        """Let the answer through."""
        assert self._held is not None
        route, answer = self._held
        route.fulfill(response=answer)


def hang(route: Route) -> None:
    """Never answer."""


def ends_with(path: str) -> Callable[[str], bool]:
    """Whether an address, leaving out its query, ends so."""
    return lambda url: url.split("?")[0].endswith(path)


def test_what_happens_while_an_answer_is_on_its_way_is_not_lost(
    visit: Visit, server: str, scene: Scene
) -> None:
    """The answer may be older than the event: the page asks once more, long before its poll."""
    page, work = visit.page, scene.take()
    page.add_init_script(COUNT_EVENTS)
    page.goto(f"{server}/studies/1")
    expect(page.locator("#pulse")).to_have_text("Live")
    gate = Gate(page, ends_with("/partials/studies/1"))
    scene.report(work, 1)
    gate.wait()
    heard = page.evaluate("window.heard")
    scene.report(work, 2)
    page.wait_for_function("before => window.heard > before", arg=heard)
    gate.open()
    expect(page.locator(f"#trial-{work.trial}")).to_contain_text("2/12")


def test_a_section_asks_again_for_what_came_meanwhile(
    visit: Visit, server: str, scene: Scene
) -> None:
    """A refresh of the page while a section waits for its answer is not forgotten."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    page.locator("#more").scroll_into_view_if_needed()
    expect(page.locator("#pulse")).to_have_text("Live")
    asked: list[str] = []
    gate = Gate(page, ends_with("/analysis"))
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("document.dispatchEvent(new Event('segtune:refreshed'))")
    gate.wait()
    asked.clear()
    page.evaluate("document.dispatchEvent(new Event('segtune:refreshed'))")
    with page.expect_request(lambda request: ends_with("/analysis")(request.url)):
        gate.open()


@pytest.mark.parametrize("path", ["/studies/1", "/", "/workers"])
def test_a_server_that_hangs_is_not_live(
    visit: Visit, server: str, scene: Scene, path: str
) -> None:
    """Without an answer the page says so, and goes on once there is one again."""
    page = visit.page
    page.clock.install()
    page.goto(f"{server}{path}")
    expect(page.locator("#pulse")).to_be_visible()
    pattern = ends_with(f"/partials{path}" if path != "/" else "/partials/studies")
    page.route(pattern, hang)
    with page.expect_request(lambda request: pattern(request.url)):
        page.evaluate("document.dispatchEvent(new Event('segtune:refetch'))")
    page.clock.run_for(PATIENCE)
    expect(page.locator("#pulse")).to_contain_text("Server does not answer")
    expect(page.locator("#live")).to_have_class("stale")
    page.unroute(pattern)
    page.clock.run_for(AGAIN)
    expect(page.locator("#live")).not_to_have_class("stale", timeout=20_000)


def test_the_table_survives_a_server_that_is_away(visit: Visit, server: str, scene: Scene) -> None:
    """To sort and to filter meanwhile is not lost: the page stays, says so and follows later."""
    page = visit.page
    page.goto(f"{server}/studies/1")
    expect(page.locator("#filter")).to_have_role("combobox")
    expect(page.locator("#pulse")).to_have_text("Live")
    page.evaluate("window.untouched = true")
    page.route("**/partials/**", lambda route: route.abort("connectionrefused"))
    page.locator('[id="sort-optimizer.lr"]').click()
    expect(page.locator("#pulse")).to_contain_text("Server does not answer")
    page.locator("#filter").fill("number < 3")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#trials tbody tr")).to_have_count(5)
    page.unroute("**/partials/**")
    expect(page.locator("#trials tbody tr")).to_have_count(3, timeout=10_000)
    expect(page.locator("#filter")).to_have_value("number < 3")
    expect(page.locator("#pulse")).to_have_text("Live")
    expect(page.locator("#trials")).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate("window.untouched") is True
