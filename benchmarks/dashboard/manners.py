"""Sorting and filtering the table of trials, and a report on its way to the page that shows it."""

import statistics
import time
from typing import Any
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Browser, expect

from benchmarks.dashboard.browsing import WATCH, shown
from benchmarks.dashboard.seeded import NAME
from tuner.spec.messages import LeaseRequest, Report
from workers.client import ServerClient

ROW = "document.querySelector('#trials tbody tr')"
FILTER = "optimizer.name = sgd and miou > 0.4"
_MOMENT = "shown at "


def table(browser: Browser, address: str, *, rounds: int) -> dict[str, Any]:
    """Milliseconds of the server and until the first row is drawn, for a sort and a filter."""
    rows: dict[str, Any] = {}
    for name, query in (("sort", {"sort": "value"}), ("filter", _filter(address))):
        target = f"{address}/studies/{NAME}?{urlencode(query)}"
        server, page = [], []
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        tab = context.new_page()
        tab.add_init_script(WATCH % (ROW, "first data after ", "performance.now()"))
        shown(tab, f"{address}/studies/{NAME}", seconds=60)
        with httpx.Client(trust_env=False) as client:
            for _ in range(rounds):
                began = time.perf_counter()
                client.get(target).raise_for_status()
                server.append(time.perf_counter() - began)
                page.append(shown(tab, target, seconds=60))
        context.close()
        rows[f"{name}_server_ms"] = round(1000 * statistics.median(server))
        rows[f"{name}_page_ms"] = round(1000 * statistics.median(page))
    return rows


def _filter(address: str) -> dict[str, str]:
    """The query of a filter: an expression, where the page takes one, else a state."""
    query = {"filter": FILTER}
    page = httpx.get(f"{address}/studies/{NAME}", params=query, trust_env=False)
    return query if page.is_success and "filter=optimizer" in page.text else {"state": "pruned"}


def event(browser: Browser, address: str, *, rounds: int) -> dict[str, Any]:
    """Milliseconds from sending a report to the frame that shows it, on a page that is open."""
    client = ServerClient(address)
    trial = client.lease(LeaseRequest(worker="bench-event", wait=5, study=NAME))
    assert trial is not None, "the benchmark's study has no end"
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/studies/{NAME}")
    expect(page.locator("#pulse")).to_have_text("Live", timeout=30_000)
    found = []
    for step in range(1, rounds + 1):
        row = f"document.querySelector('#trial-{trial.trial}')"
        seen = f"{row}?.textContent.includes('{step}/{trial.config.training.epochs}')"
        with page.expect_console_message(lambda said: said.text.startswith(_MOMENT)) as said:
            page.evaluate(WATCH % (seen, _MOMENT, "Date.now()"))
            began = time.time()
            report = Report(step=step, metrics={"miou": 0.1 * step, "train_loss": 1.0}, seconds=14)
            client.report(trial.lease, trial.token, (report,))
        found.append(float(said.value.text.removeprefix(_MOMENT)) - 1000 * began)
        page.wait_for_timeout(1500)  # a page that has just been refreshed waits longer
    context.close()
    client.close()
    return {
        "event_to_pixel_p50_ms": round(statistics.median(found)),
        "event_to_pixel_max_ms": round(max(found)),
    }
