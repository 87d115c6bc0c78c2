"""A study's page at 10,000 trials, ours beside optuna-dashboard's, and what open pages cost.

a. A seeded study of 50 epochs a trial, on SQLite and on PostgreSQL, is opened in real Chromium by
   our dashboard and by `segtune optuna-dashboard`; where that shows nothing in time, both are
   opened at the next smaller size too. b. The table sorted, filtered and
   ranked anew, the data of each chart, and a report's way to an open page.
c. A report's p99 with twenty open pages and without them.

    python -m benchmarks.dashboard [--quick] [--parts openings manners pages]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from benchmarks.control_plane import database, server
from benchmarks.dashboard import manners, viewers
from benchmarks.dashboard.browsing import Opening, Tool, chromium, opened
from benchmarks.dashboard.seeded import NAME, fill
from benchmarks.machine import conclude, describe
from tests import postgres
from tuner.service import overview
from tuner.store.engine import Database

PARTS = ("openings", "manners", "pages")
SIZES = (10_000, 3_000, 1_000)
EPOCHS = 50
PATIENCE = 120.0  # seconds for which a page may show nothing
_FIRST_THEIRS = "document.querySelector('#dashboard')?.textContent.includes('Best Trial (')"


def main() -> None:
    """Run the parts and print their rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1,000 trials, within a minute")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--databases", nargs="+", default=("sqlite", "postgresql"))
    options = parser.parse_args()
    result: dict[str, Any] = describe("optuna-dashboard", "fastapi", "sqlalchemy")
    with chromium() as browser:
        for kind in options.databases:
            run = _OnDatabase(browser, kind, quick=options.quick)
            result |= {f"{kind}_{name}": value for name, value in run.all(options.parts).items()}
    conclude(result)


class _OnDatabase:
    """Every part on one kind of database."""

    def __init__(self, browser: Browser, kind: str, *, quick: bool) -> None:
        self._browser = browser
        self._kind = kind
        self._quick = quick
        self._rounds = 1 if quick else 3

    def all(self, parts: Sequence[str]) -> dict[str, Any]:
        """The rows of the parts."""
        rows: dict[str, Any] = {}
        sizes = SIZES[-1:] if self._quick or set(parts) == {"pages"} else SIZES
        for trials in sizes:
            with self._study(trials) as url, server(url) as (address, process):
                if "openings" in parts:
                    rows |= self._compare(url, address, trials)
                if trials == sizes[0] and "manners" in parts:
                    rounds = self._rounds
                    rows |= manners.event(self._browser, address, rounds=3 * rounds)
                    rows |= manners.table(self._browser, address, rounds=rounds)
                    rows |= manners.charts(address, rounds=rounds)
                if trials == sizes[-1] and "pages" in parts:
                    rows |= viewers.measure(
                        address, process, windows=1 if self._quick else 4, seconds=5
                    )
            self._tell(trials, rows)
            if "ratio_seconds" in rows and "pages" not in parts:
                break
        return rows

    @contextmanager
    def _study(self, trials: int) -> Iterator[str]:
        """The URL of a database with the study."""
        if self._kind == "sqlite":
            with tempfile.TemporaryDirectory() as folder:
                url = f"sqlite:///{Path(folder) / 'segtune.db'}"
                fill(url, trials, EPOCHS)
                yield url
            return
        admin = os.environ.get("TEST_DATABASE_URL") or postgres.start(owner=os.getpid())
        with database(admin, "bench_dashboard") as url:
            fill(url, trials, EPOCHS)
            yield url

    def _compare(self, url: str, address: str, trials: int) -> dict[str, Any]:
        """Both dashboards at this size, unless theirs was compared at a larger one."""
        ours = self._openings(
            Tool("segtune", f"{address}/studies/{NAME}", manners.FIRST, ("echarts",))
        )
        assert ours, "our page shows nothing"
        rows = {f"ours_{trials}_{name}": value for name, value in _figures(ours).items()}
        with optuna_dashboard(url) as page:
            theirs = self._openings(Tool("optuna-dashboard", page, _FIRST_THEIRS, ("bundle.js",)))
        if not theirs:
            return rows | {f"optuna_{trials}_opens": False}
        rows |= {f"optuna_{trials}_{name}": value for name, value in _figures(theirs).items()}
        mine, other = _figures(ours), _figures(theirs)
        return rows | {
            "ratio_size": trials,
            "ratio_seconds": round(other["seconds"] / mine["seconds"], 1),
            "ratio_bytes": round(other["bytes"] / mine["bytes"], 1),
        }

    def _openings(self, tool: Tool) -> list[Opening]:
        """Each opening with an empty cache; the first one's server has read nothing yet."""
        found = []
        for _ in range(self._rounds):
            one = opened(self._browser, tool, seconds=PATIENCE)
            if one is None:
                return []
            found.append(one)
        return found

    def _tell(self, trials: int, rows: dict[str, Any]) -> None:
        """Print the rows so far for people."""
        print(f"{self._kind}, up to {trials} trials: {rows}", flush=True)


def _figures(found: Sequence[Opening]) -> dict[str, Any]:
    """The first opening's seconds, the median's, and bytes."""
    return {
        "first_seconds": round(found[0].seconds, 2),
        "seconds": round(statistics.median(one.seconds for one in found), 3),
        "bytes": found[-1].bytes,
        "library_bytes": found[-1].library_bytes,
    }


@contextmanager
def optuna_dashboard(url: str) -> Iterator[str]:
    """optuna-dashboard on that database, as our command starts it: its page of the study."""
    command = [sys.executable, "-m", "tuner.cli.app", "optuna-dashboard", NAME, "--url", url]
    db = Database(url)
    page = f"/dashboard/studies/{overview.study_id(db, NAME)}"
    db.dispose()
    with subprocess.Popen([*command, "--port", "0"], text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield next(word for word in line.split() if word.endswith(page))
        process.terminate()


if __name__ == "__main__":
    main()
