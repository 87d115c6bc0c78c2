"""A study's page in real Chromium: bytes on the wire, and seconds until there is something to read.

Every opening is a fresh browser context with nothing in its cache. The time counts inside the page,
from the navigation's start to the frame after the first data is in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, sync_playwright

_PROGRAMS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_SAID = "first data after "
# Says on the console when an expression of the page is true and a frame has been drawn since.
WATCH = """
(() => {
  const look = () => requestAnimationFrame(() => (%s)
    ? requestAnimationFrame(() => console.log("%s" + %s))
    : look());
  look();
})()
"""


@dataclass(frozen=True)
class Tool:
    """A dashboard: where its study's page is, and an expression that is true once it shows data."""

    name: str
    address: str
    first: str
    library: tuple[str, ...]  # parts of the addresses of its plotting library, or what holds it


@dataclass(frozen=True)
class Opening:
    """What opening a page took; the library's bytes apart."""

    seconds: float
    bytes: int
    library_bytes: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's browser."""
    program = next(path for path in _PROGRAMS if Path(path).exists())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield browser
        browser.close()


def opened(browser: Browser, tool: Tool, *, seconds: float) -> Opening | None:
    """Open the page once; None if it has shown nothing within so many seconds, or has crashed."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    counted = Counted(page)
    try:
        page.add_init_script(WATCH % (tool.first, _SAID, "performance.now()"))
        first = shown(page, tool.address, seconds=seconds)
        counted.wait_until_quiet()
        own, library = counted.split(tool.library)
        return Opening(first, own, library)
    except Error:
        return None
    finally:
        context.close()


def shown(page: Page, address: str, *, seconds: float) -> float:
    """Go to an address; seconds from the navigation's start to its first data. Raises Error."""
    is_said = lambda message: message.text.startswith(_SAID)  # noqa: E731
    with page.expect_console_message(is_said, timeout=1000 * seconds) as said:
        page.goto(address, wait_until="commit", timeout=1000 * seconds)
    return float(said.value.text.removeprefix(_SAID)) / 1000


class Counted:
    """Bytes on the wire of every answer to a page, headers included."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._addresses: dict[str, str] = {}
        self._bytes: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._answered)
        session.on("Network.dataReceived", self._received)
        session.on("Network.loadingFinished", self._finished)

    def wait_until_quiet(self) -> None:
        """Wait until a second has brought nothing new, half a minute at most."""
        before = -1
        for _ in range(30):
            if before == sum(self._bytes.values()):
                return
            before = sum(self._bytes.values())
            self._page.wait_for_timeout(1000)

    def split(self, library: tuple[str, ...]) -> tuple[int, int]:
        """Bytes of all but the library, and of the library."""
        own = apart = 0
        for request, count in self._bytes.items():
            if any(part in self._addresses.get(request, "") for part in library):
                apart += count
            else:
                own += count
        return own, apart

    def _answered(self, event: dict[str, Any]) -> None:
        self._addresses[event["requestId"]] = event["response"]["url"]

    def _received(self, event: dict[str, Any]) -> None:
        known = self._bytes.get(event["requestId"], 0)
        self._bytes[event["requestId"]] = known + event["encodedDataLength"]

    def _finished(self, event: dict[str, Any]) -> None:
        self._bytes[event["requestId"]] = int(event["encodedDataLength"])
