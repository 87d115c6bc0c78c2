"""Screenshots of every page of the dashboard, for `docs/dashboard.md`, from real studies of CamVid.

    python -m benchmarks.screenshots --camvid FOLDER      # trains for an hour, then draws
    python -m benchmarks.screenshots --server URL         # draws what it has

The first starts a server and two workers of its own, trains a study on CamVid at a size for a CPU,
and draws while a second one trains, with a third in the queue that no worker fits. The second needs
a study called `camvid-street` that has ended. Each page is drawn 1440 and 390 pixels wide, light
and dark.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tuner.client import Client
from tuner.spec import documents
from tuner.spec.states import TrialState

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "images" / "dashboard"
STUDY = "camvid-street"
PROGRAM = "/usr/bin/chromium"
WIDTHS = (1440, 390)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TALLEST = 2600  # pixels; a longer page is cut there
_QUALITY = 84
_PORT = 8797


@dataclass(frozen=True)
class View:
    """A page to draw: its address, what must be there first, and what is shown of it."""

    path: str
    ready: str = "main"
    part: str | None = None


def views(client: Client) -> Mapping[str, View]:
    """Every page by the name of its file, with the numbers of this server's studies."""
    study = client.study(STUDY)
    ended = [t for t in client.trials(STUDY) if t.state is TrialState.COMPLETED]
    ended.sort(key=lambda trial: -(trial.value or 0))
    best, others = ended[0].number, [trial.number for trial in ended[1:4]]
    trials = ",".join(f"{study.id}:{number}" for number in (best, *others))
    at = f"/studies/{study.id}"
    return {
        "studies": View("/"),
        "new": View(f"/new?clone={study.id}"),
        "study": View(at, "#history canvas"),
        "images": View(f"{at}/images", "main table"),
        "trial": View(f"{at}/trials/{best}", "#masks canvas"),
        "masks": View(f"{at}/trials/{best}", "#masks canvas", "#masks"),
        "compare": View(f"/compare?trials={trials}", "#masks canvas"),
        "workers": View("/workers"),
        "queue": View("/queue"),
    }


def draw(browser: Browser, address: str, name: str, view: View) -> Iterator[Path]:
    """Draw one page in every width and scheme."""
    for width in WIDTHS:
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,
                device_scale_factor=1.5 if width > 1000 else 2,
                locale="en-GB",
            )
            page = context.new_page()
            page.goto(f"{address}{view.path}", wait_until="load")
            page.wait_for_selector(view.ready, state="visible", timeout=30_000)
            _scroll_through(page)
            yield _save(page, view, f"{name}-{width}-{scheme}.webp")
            context.close()


def _scroll_through(page: Page) -> None:
    """Scroll through the page once, so that what comes only when it is seen is there."""
    height = page.evaluate("document.documentElement.scrollHeight")
    for at in range(0, height, 700):
        page.evaluate(f"scrollTo(0, {at})")
        page.wait_for_timeout(120)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(600)


def _save(page: Page, view: View, name: str) -> Path:
    place = page.locator(view.part) if view.part else None
    content = place.screenshot() if place else page.screenshot(full_page=True)
    path = TARGET / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(BytesIO(content)) as image:
        ratio = image.width / page.viewport_size["width"] if page.viewport_size else 1
        bottom = min(image.height, round(TALLEST * ratio))
        image.crop((0, 0, image.width, bottom)).save(path, quality=_QUALITY, method=6)
    return path


@contextmanager
def trained(camvid: Path, home: Path) -> Iterator[str]:
    """A server whose first study is trained and whose second trains; its address."""
    address = f"http://127.0.0.1:{_PORT}"
    settings = {"SEGTUNE_HOME": str(home), "SEGTUNE_SERVER": address, "SEGTUNE_THREADS": "1"}
    environment = {**os.environ, **settings}
    places = ("--device", "cpu", "--data-root", str(camvid.parent))
    commands: list[tuple[str, ...]] = [("serve", "--port", str(_PORT))]
    commands += [("worker", "--name", f"cpu-{number}", *places) for number in (1, 2)]
    running = [
        subprocess.Popen((sys.executable, "-m", "tuner.cli.app", *command), env=environment)
        for command in commands
    ]
    try:
        with Client(address) as client:
            submit(client, camvid.name)
        yield address
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(timeout=60)


def submit(client: Client, root: str) -> None:
    """Train the first study to its end, and the second until it has something to show."""
    client.submit(document(STUDY, root))
    client.wait(STUDY, timeout=3 * 3600)
    client.submit(document("camvid-losses", root, loss=True))
    for event in client.events("camvid-losses"):
        if event.kind == "trial.reported" and event.data["step"] >= 2:
            break
    client.submit(document("camvid-large", root, resources={"memory_gb": 40}, priority=70))


def document(name: str, root: str, *, loss: bool = False, **changes: Any) -> dict[str, Any]:
    """The example's study, with light networks that a CPU trains in seconds an epoch."""
    found: dict[str, Any] = documents.parse_yaml((ROOT / "examples" / "camvid.yaml").read_bytes())
    found["name"] = name
    found["dataset"]["root"] = root
    found["base"]["model"]["encoder"] = "resnet18"
    found["space"]["model.encoder"] = {"choice": ["resnet18", "mobilenet_v2"]}
    found["search"] |= {"trials": 16, "confirm": None}
    if loss:
        found["space"]["loss.name"] = {"choice": ["cross_entropy", "focal", "lovasz"]}
    return {**found, **changes}


def main() -> None:
    """Draw all pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--camvid", type=Path, help="the folder that holds images and labels")
    source.add_argument("--server", help="address of a server that has the study already")
    parser.add_argument("--only", default="", help="draw pages whose name fits this expression")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        if options.server:
            _draw_all(browser, options.server.rstrip("/"), options.only)
        else:
            with trained(options.camvid.resolve(), Path(home)) as address:
                _draw_all(browser, address, options.only)


def _draw_all(browser: Browser, address: str, only: str) -> None:
    with Client(address) as client:
        found = views(client)
    for name, view in found.items():
        if re.search(only, name):
            for path in draw(browser, address, name, view):
                print(f"{path.relative_to(ROOT)} {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
