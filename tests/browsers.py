"""A real browser for tests, and windows that note what their pages complain about."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, sync_playwright

from tests.missing import unavailable

# The shell first: without the rest of a browser around it a page takes half the time.
_BROWSERS = (
    "/usr/bin/chromium-headless-shell",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
)
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Looks again with every frame, for as long as what scripts do to a page may take.
_BECOMES = """async (place, wanted) => {
    const look = LOOK, until = performance.now() + 5_000;
    for (;;) {
        const seen = look(place);
        if (JSON.stringify(seen) === wanted || performance.now() > until) return seen;
        await new Promise(requestAnimationFrame);
    }
}"""


class Visit:
    """A page and everything that its console complained about, violations of its policy too."""

    def __init__(self, page: Page, *, scripts: bool = True) -> None:
        self.page = page
        self.complaints: list[str] = []
        for name in ("goto", "reload") if scripts else ():
            setattr(page, name, partial(_arrive, page, getattr(page, name)))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))

    def _hear(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)


def _arrive(page: Page, go: Callable[..., Any], *to: str, **options: Any) -> Any:
    """Go there, and wait until the page's scripts listen: who acts before them is not heard."""
    answer = go(*to, **options)
    if page.locator("script[src*='/app.js']").count():
        page.locator("html[data-started]").wait_for(state="attached")
    return answer


def becomes(place: Locator, script: str, wanted: Any) -> bool:
    """Whether a function of a place gives what is wanted, soon: scripts come after their page."""
    seen = place.evaluate(
        _BECOMES.replace("LOOK", script), json.dumps(wanted, separators=(",", ":"))
    )
    return bool(seen == wanted)


class Windows:
    """Opens windows of one browser; all are closed in the end."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def open(self, **options: Any) -> Visit:
        """A window with cookies of its own, 1440 by 900 unless said otherwise."""
        context = self._browser.new_context(
            **{"viewport": {"width": 1440, "height": 900}, **options}
        )
        self._contexts.append(context)
        return Visit(context.new_page(), scripts=options.get("java_script_enabled", True))

    def close(self) -> None:
        """Close all."""
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; where there is none the test skips, in CI it fails."""
    program = next((path for path in _BROWSERS if Path(path).exists()), None)
    if program is None:
        unavailable(
            f"no browser at {', '.join(_BROWSERS)}; apt-get install chromium-headless-shell"
        )
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        except Error as error:
            unavailable(f"{program} does not start: {error}")
        yield found
        found.close()


@pytest.fixture
def windows(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Windows]:
    """Windows of the browser, as many as a test opens; they are closed before a test's server.

    A server that ends waits for streams that are open.
    """
    if "server" in request.fixturenames:
        request.getfixturevalue("server")
    opened = Windows(browser)
    yield opened
    opened.close()


@pytest.fixture
def visit(windows: Windows) -> Visit:
    """A fresh browser window."""
    return windows.open()
