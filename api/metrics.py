"""`/metrics`: what Prometheus reads, and how long requests take."""

import os
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dashboard.reader import READING
from tuner.service.figures import ServiceFigures

# Seconds; a lease may wait for work, and says so by its status 204.
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30)
_UNMATCHED = "other"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


# The folder in which processes of one port keep their counts, as `prometheus_client` has it.
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class RequestTimes:
    """Seconds until an answer begins, by method, route and status.

    Of this process, or of all that share a folder: a scraper reaches any of them, and must not see
    counts go back because it was another one this time.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "segtune_http_request_seconds",
            "Seconds until an answer began",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        ProcessCollector(registry=self._registry)
        self._known: dict[tuple[str, str, int], Histogram] = {}

    def exposition(self) -> bytes:
        """In Prometheus's text format."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder is None:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone, folder)  # type: ignore[no-untyped-call]  # it has no types
        return generate_latest(everyone)

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request; its path is that of its route, so that the series stay few."""
        method = scope["method"] if scope["method"] in _METHODS else _UNMATCHED
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        key = (method, route, status)
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = self._seconds.labels(method, route, str(status))
        series.observe(seconds)


class Timed:
    """Measure every request that reaches a route."""

    def __init__(self, app: ASGIApp, times: RequestTimes) -> None:
        self._app, self._times = app, times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and note how long it took until the first byte."""
        # What another process has passed on to this one is counted there.
        if scope["type"] != "http" or READING in scope:
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._times.observe(scope, message["status"], time.perf_counter() - begun)
            await send(message)

        await self._app(scope, receive, timed)


def exposition(times: RequestTimes, figures: ServiceFigures) -> bytes:
    """Everything in Prometheus's text format."""
    stored = CollectorRegistry()
    stored.register(_Stored(figures))
    return generate_latest(stored) + times.exposition()


class _Stored(Collector):
    """What the database says. Gauges all: what is deleted goes out of the sums."""

    def __init__(self, figures: ServiceFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """One family after another."""
        found = self._figures
        yield _one("queue_ready", "Trials that more workers would be given now", found.queue.ready)
        yield _family(
            "queue_trials",
            "Trials of studies that are not over, by state; left: still to be drawn",
            ("study", "state"),
            (
                ((entry.study, state), getattr(entry, state))
                for entry in found.queue.entries
                for state in ("ready", "waiting", "running", "paused", "left")
            ),
        )
        yield _by("studies", "Studies by state", "state", found.studies.items())
        yield _by(
            "attempts",
            "Attempts by outcome; held: leases that go on; lost: leases that expired",
            "outcome",
            found.attempts.items(),
        )
        yield _one("epochs_trained", "Epochs that all trials have trained", found.epochs)
        yield _one("epochs_saved", "Epochs that stopping early has saved", found.epochs_saved)
        yield _one("device_hours_spent", "Hours of devices that training took", found.hours)
        yield _one("device_hours_saved", "Hours that stopping early has saved", found.hours_saved)
        yield from self._workers()

    def _workers(self) -> Iterator[Metric]:
        seen = self._figures.workers
        states = dict.fromkeys(("busy", "draining", "idle", "drained", "unfit", "gone"), 0)
        for worker in seen:
            states[worker.state] += 1
        yield _by("workers", "Workers by state", "state", states.items())
        at_work = [
            (each.name, each.usage) for each in seen if each.usage and each.trial is not None
        ]
        yield _by(
            "worker_device_use",
            "Share of the time in which the device of a worker with a trial was at work",
            "worker",
            ((name, use.utilisation) for name, use in at_work),
        )
        yield _by(
            "worker_memory_gigabytes",
            "Memory in use on that device",
            "worker",
            ((name, use.memory_gb) for name, use in at_work),
        )
        yield _by(
            "worker_images_per_second",
            "Training speed of a worker's trial in its last epoch",
            "worker",
            ((each.name, each.images_per_second) for each in seen if each.trial is not None),
        )


def _one(name: str, meaning: str, value: float) -> Metric:
    return _family(name, meaning, (), [((), value)])


def _by(name: str, meaning: str, label: str, values: Iterable[tuple[str, float | None]]) -> Metric:
    return _family(name, meaning, (label,), (((key,), value) for key, value in values))


def _family(
    name: str,
    meaning: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], float | None]],
) -> Metric:
    family = GaugeMetricFamily(f"segtune_{name}", meaning, labels=labels)
    for key, value in values:
        if value is not None:
            family.add_metric(key, value)
    return family
