"""What twenty open pages cost sixteen reporting workers: a report's p99 with and without them.

Windows with and without the pages alternate in one run. A page does what `static/live.js` does: it
follows the study's events, and after each waits a little and fetches its partial. Workers report
several times a second each, tens of times as often as trainings do. Pages and workers are one
process each, beside the server's; the pages' is nice, as browsers run on other machines.
"""

import asyncio
import multiprocessing
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from benchmarks.control_plane import processor_seconds
from benchmarks.dashboard.seeded import NAME, WORKERS
from benchmarks.machine import percentile
from tuner.spec.messages import Assignment, LeaseRequest, Outcome, OutcomeKind, Report
from workers.client import ServerClient

PAGES = 20
PAUSE = 0.25  # seconds between two reports of a worker
DEBOUNCE = 0.2  # as in static/live.js
_WARM_UP = 4.0  # until every page is open
_START = 120.0


@dataclass
class Measured:
    """Seconds of each report by condition, of each page's refresh, and the server's processor."""

    reports: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    refreshes: list[float] = field(default_factory=list)
    processor: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})


def measure(
    address: str, process: psutil.Process, *, windows: int, seconds: float
) -> dict[str, Any]:
    """Rows of the result, of the server at that address; `windows` are counted by condition."""
    context = multiprocessing.get_context("spawn")
    found = Measured()
    reporting, viewing = _Helper(context, _report, address), _Helper(context, _view, address)
    for index in range(2 * windows):
        watched = index % 2 == 1
        if watched:
            viewing.start()
        reporting.start()
        time.sleep(_WARM_UP)
        began = processor_seconds(process)
        reporting.mark()
        if watched:
            viewing.mark()
        time.sleep(seconds)
        found.reports[watched] += reporting.stop()
        found.processor[watched] += processor_seconds(process) - began
        if watched:
            found.refreshes += viewing.stop()
    reporting.end()
    viewing.end()
    return _summary(found, windows * seconds)


def _summary(found: Measured, seconds: float) -> dict[str, Any]:
    alone, watched = found.reports[False], found.reports[True]
    rows = {
        "pages_p99_ratio": round(percentile(watched, 0.99) / percentile(alone, 0.99), 2),
        "pages_refresh_p50_ms": round(1000 * percentile(found.refreshes, 0.5)),
        "pages_refreshes_per_s": round(len(found.refreshes) / seconds, 1),
    }
    for name, values, busy in (
        ("alone", alone, found.processor[False]),
        ("watched", watched, found.processor[True]),
    ):
        rows[f"{name}_report_p50_ms"] = round(1000 * percentile(values, 0.5), 2)
        rows[f"{name}_report_p99_ms"] = round(1000 * percentile(values, 0.99), 2)
        rows[f"{name}_reports"] = len(values)
        rows[f"{name}_server_processor"] = round(busy / seconds, 2)
    return rows


class _Helper:
    """A process that does something from `start` to `stop`, and then says how long each took."""

    def __init__(self, context: Any, work: Callable[..., None], *arguments: Any) -> None:
        self._orders, self._answers = context.Queue(), context.Queue()
        self._process = context.Process(
            target=work, args=(*arguments, self._orders, self._answers), daemon=True
        )
        self._process.start()
        self._answers.get(timeout=_START)

    def start(self) -> None:
        """Begin."""
        self._orders.put("start")

    def mark(self) -> None:
        """What took place so far was for warming up."""
        self._orders.put("mark")

    def stop(self) -> list[float]:
        """End, and give the seconds that each took since the mark."""
        self._orders.put("stop")
        found: list[float] = self._answers.get(timeout=_START)
        return found

    def end(self) -> None:
        """End the process."""
        self._orders.put("end")
        self._process.join(timeout=30)


@dataclass
class _Seconds:
    """Durations since the mark, while it is not stopped."""

    stopped: bool = False
    values: list[float] = field(default_factory=list)


def _obey(
    orders: Any, answers: Any, run: Callable[[_Seconds], Any], wait: Callable[..., Any]
) -> None:
    """Start, mark and stop `run` as ordered; `run` gives what `wait` waits for."""
    answers.put("ready")
    while orders.get() == "start":
        seconds = _Seconds()
        running = run(seconds)
        for order in iter(orders.get, "stop"):
            if order == "mark":
                seconds.values.clear()
        seconds.stopped = True
        wait(running)
        answers.put(list(seconds.values))


def _report(address: str, orders: Any, answers: Any) -> None:
    """Sixteen workers that report on and on, each its own trial."""
    client = ServerClient(address)
    trials: dict[int, Assignment] = {}
    steps: dict[int, int] = {}

    def work(index: int, seconds: _Seconds) -> None:
        time.sleep(PAUSE * index / WORKERS)
        while not seconds.stopped:
            trial = trials.get(index) or _take(client, index)
            trials[index] = trial
            step = steps[index] = steps.get(index, 0) + 1
            began = time.perf_counter()
            client.report(trial.lease, trial.token, (_made_up(step, trial.trial),))
            took = time.perf_counter() - began
            seconds.values.append(took)
            if step == trial.config.training.epochs:
                client.finish(trial.lease, trial.token, Outcome(kind=OutcomeKind.COMPLETED))
                del trials[index], steps[index]
            time.sleep(max(0.0, PAUSE - took))

    with ThreadPoolExecutor(WORKERS) as pool:

        def run(seconds: _Seconds) -> Any:
            return [pool.submit(work, index, seconds) for index in range(WORKERS)]

        _obey(orders, answers, run, lambda running: [each.result() for each in running])


def _take(client: ServerClient, index: int) -> Assignment:
    found = client.lease(LeaseRequest(worker=f"bench-{index}", wait=5, study=NAME))
    assert found is not None, "the benchmark's study has no end"
    return found


def _made_up(step: int, trial: int) -> Report:
    value = ((trial * 7919) % 1000) / 2000 + step / 100
    return Report(step=step, metrics={"miou": value, "train_loss": 1 - value}, seconds=14.0)


def _view(address: str, orders: Any, answers: Any) -> None:
    """Twenty open pages of the study."""
    os.nice(10)

    def run(seconds: _Seconds) -> Any:
        pool = ThreadPoolExecutor(1)
        future = pool.submit(asyncio.run, _open_pages(address, seconds))
        pool.shutdown(wait=False)
        return future

    _obey(orders, answers, run, lambda running: running.result())


async def _open_pages(address: str, seconds: _Seconds) -> None:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
        tasks = [asyncio.create_task(_page(client, seconds)) for _ in range(PAGES)]
        while not seconds.stopped:
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        for found in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(found, Exception):
                raise found


async def _page(client: httpx.AsyncClient, seconds: _Seconds) -> None:
    """One browser's page: what it shows, its events, and a refresh after each burst of them."""
    page = (await client.get(f"/studies/{NAME}")).raise_for_status().text
    events, live = (_attribute(page, name) for name in ("data-events", "data-live"))
    heard = asyncio.Event()
    listening = asyncio.create_task(_listen(client, events, heard))
    try:
        while True:
            await heard.wait()
            await asyncio.sleep(DEBOUNCE)
            heard.clear()
            began = time.perf_counter()
            (await client.get(live)).raise_for_status()
            seconds.values.append(time.perf_counter() - began)
    finally:
        listening.cancel()


async def _listen(client: httpx.AsyncClient, events: str, heard: asyncio.Event) -> None:
    async with client.stream("GET", events) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                heard.set()


def _attribute(page: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', page)
    assert found is not None, f"the page of a study has no {name}"
    return found[1].replace("&amp;", "&")
