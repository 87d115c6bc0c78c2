"""Sorting and filtering the table of trials, and a report on its way to the page that shows it."""

import statistics
import time
from typing import Any
from urllib.parse import urlencode

import httpx
from playwright.sync_api import Browser, Page, expect

from benchmarks.dashboard.browsing import WATCH
from benchmarks.dashboard.seeded import NAME
from tuner.spec.messages import LeaseRequest, Report
from workers.client import ServerClient

# The study's best value, and a trial in its table.
FIRST = (
    "document.querySelector('#facts dd')?.textContent.trim()"
    " && document.querySelector('#trials tbody tr')"
)
_MOMENT = "shown at "
# What a person asks of the table, by its name: the query of the address, and a mark of the answer.
QUESTIONS = {
    "sort": {"sort": "value", "descending": "1"},
    "sort_param": {"sort": "optimizer.lr", "descending": "1"},
    "filter_param": {"filter": "optimizer.lr > 0.01"},
    "filter_metric": {"filter": "miou > 0.4"},
    "filter_both": {"filter": "optimizer.name = sgd and miou > 0.4"},
    "rank": {"by": "iou.car"},
}
# Goes to an address as a link of the table does, and says when its rows are there.
_ASK = """
(address) => {
  window.asked = performance.now();
  history.pushState(null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
}
"""
_ANSWERED = "!document.querySelector('#trials[aria-busy]')"


def table(browser: Browser, address: str, *, rounds: int) -> dict[str, Any]:
    """Milliseconds of the server, and from a click to the frame with the rows, of each question.

    The first answer is counted apart: after it what metrics need of matrices is in memory.
    """
    rows: dict[str, Any] = {}
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.goto(f"{address}/studies/{NAME}", wait_until="networkidle")
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for name, query in QUESTIONS.items():
            target = f"/partials/studies/1/trials?{urlencode(query)}"
            server = [_answer(client, target) for _ in range(rounds + 1)]
            page = [_asked(tab, query) for _ in range(rounds)]
            rows[f"{name}_first_ms"] = round(1000 * server[0])
            rows[f"{name}_server_ms"] = round(1000 * statistics.median(server[1:]))
            rows[f"{name}_page_ms"] = round(statistics.median(page))
    context.close()
    return rows


def charts(address: str, *, rounds: int) -> dict[str, Any]:
    """Milliseconds of the server for the data of each chart, once it has been asked before."""
    names = ("history", "curves", "timeline", "survival", "sources", "parallel", "slices",
             "contour", "ranks", "edf")  # fmt: skip
    rows: dict[str, Any] = {}
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        for name in names:
            target = f"/partials/studies/1/charts/{name}"
            found = [_answer(client, target) for _ in range(rounds + 1)][1:]
            rows[f"chart_{name}_ms"] = round(1000 * statistics.median(found))
    return rows


def _answer(client: httpx.Client, target: str) -> float:
    """Seconds of one answer; the pause keeps it from being one with the answer before."""
    time.sleep(0.5)
    began = time.perf_counter()
    client.get(target).raise_for_status()
    return time.perf_counter() - began


def _asked(tab: Page, query: dict[str, str]) -> float:
    """Milliseconds from asking a page's table to the frame with the answer; then back again."""
    took = 0.0
    for text in (f"?{urlencode(query)}", "?"):
        with tab.expect_console_message(lambda said: said.text.startswith(_MOMENT)) as said:
            tab.evaluate(_ASK, text)
            tab.evaluate(WATCH % (_ANSWERED, _MOMENT, "(performance.now() - window.asked)"))
        took = took or float(said.value.text.removeprefix(_MOMENT))
        tab.wait_for_load_state("networkidle")
        tab.wait_for_timeout(1000)  # the charts follow the table; a person looks at them
    return took


def event(browser: Browser, address: str, *, rounds: int) -> dict[str, Any]:
    """Milliseconds from sending a report to the frame that shows it, on a page that is open."""
    client = ServerClient(address)
    trial = client.lease(LeaseRequest(worker="bench-event", wait=5, study=NAME))
    assert trial is not None, "the benchmark's study has no end"
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{address}/studies/{NAME}")
    expect(page.locator("#pulse")).to_have_text("Live", timeout=30_000)
    page.wait_for_timeout(3000)  # until its charts are drawn
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
