"""A thousand simulated workers at the server, on PostgreSQL.

a. At their own pace: each holds a trial, reports every 10 s as a trainer does, with an 11×11
   confusion matrix, and renews its lease every 20 s with its vitals and the end of its log.
   Bars: p99 of reports under 250 ms, no error.
b. As fast as it goes, until 100,000 reports are in: the server's memory. Bar: what it grows by
   after the first fifth, over 100,000 reports, is less than a tenth of its size.
c. As fast as it goes, with 1, 2 and 4 server processes: the ratio of reports per second.

Server, database and workers share the machine: with as many cores as that needs, (c) says what
processes bring; with fewer, it says what they cost.

    python -m benchmarks.load [--quick] [--parts pace memory processes]
"""

import argparse
import asyncio
import os
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import psutil

from api.serve import allow_connections
from benchmarks.control_plane import database, processor_seconds, server
from benchmarks.load.workers import Timings, Worker, finish_all, lease_all, study
from benchmarks.machine import conclude, describe, percentile
from tests import postgres
from tuner.service import studies
from tuner.spec.study import StudySpec
from tuner.store.engine import Database
from tuner.store.migrate import upgrade

PARTS = ("pace", "memory", "processes")
STUDIES = 10
BAR_SECONDS, BAR_GROWTH = 0.25, 0.1
_AT_ONCE = 64  # workers that keep the server busy
_SAMPLES = 100
_WARM = 0.2  # the first part of the reports, in which caches fill


def main() -> None:
    """Run the parts and print their rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less of each, within a minute")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120, help="of (a)")
    parser.add_argument("--reports", type=int, default=100_000, help="of (b)")
    parser.add_argument("--processes", type=int, nargs="+", default=(1, 2, 4), help="of (c)")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.reports, options.processes = 12, 1_000, (1, 2)
    allow_connections()  # of so many workers
    admin = os.environ.get("TEST_DATABASE_URL") or postgres.start(owner=os.getpid())
    result: dict[str, Any] = describe("fastapi", "sqlalchemy", "uvicorn")
    if {"pace", "memory"} & set(options.parts):
        result |= _one_process(admin, options)
    if "processes" in options.parts:
        result |= _several(admin, options.processes, seconds=4 if options.quick else 20)
    conclude(result)


def _one_process(admin: str, options: argparse.Namespace) -> dict[str, Any]:
    """Parts (a) and (b), one after the other at one server process."""
    found: dict[str, Any] = {}
    with database(admin, "load") as url:
        _submit(url, options.workers)
        with server(url) as (address, process):
            if "pace" in options.parts:
                timings, used = asyncio.run(
                    _pace(address, process, options.workers, options.seconds)
                )
                found |= _figures(timings, options.seconds) | {"cores": round(used, 2)}
            if "memory" in options.parts:
                found |= asyncio.run(_memory(address, process, options.reports))
    return found


async def _pace(
    address: str, process: psutil.Process, count: int, seconds: float
) -> tuple[Timings, float]:
    """All workers at their own pace: what they saw after their first leases, and how many
    processors the server was busy on.
    """
    timings = Timings()
    workers = [Worker(address, index, timings) for index in range(count)]
    began = perf_counter()
    await lease_all(workers)
    first = timings.seconds.pop("lease", [])
    print(
        f"{count} workers took their first trials within {perf_counter() - began:.1f} s, p99 "
        f"{1000 * percentile(first, 0.99):.0f} ms",
        flush=True,
    )
    until, used = perf_counter() + seconds, processor_seconds(process)
    await asyncio.gather(*(worker.at_pace(until) for worker in workers))
    used = processor_seconds(process) - used
    await finish_all(workers)
    del timings.seconds["finish"]  # all at once, which is nobody's pace
    return timings, used / seconds


def _figures(timings: Timings, seconds: float) -> dict[str, Any]:
    """Print a row for each kind of request; give the figures."""
    found: dict[str, Any] = {"errors": len(timings.errors)}
    for kind, took in sorted(timings.seconds.items()):
        figures = {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99), "max": max(took)}
        found |= {f"{kind}_{name}_ms": round(1000 * value, 1) for name, value in figures.items()}
        row = "   ".join(f"{name} {1000 * value:6.1f} ms" for name, value in figures.items())
        print(f"{kind:10} {len(took):7} in {seconds:.0f} s   {row}", flush=True)
    _complain(timings)
    found["report_p99_is_met"] = found["report_p99_ms"] < 1000 * BAR_SECONDS and not timings.errors
    return found


def _complain(timings: Timings) -> None:
    for error in timings.errors[:10]:
        print(f"error: {error}", flush=True)


async def _memory(address: str, process: psutil.Process, reports: int) -> dict[str, Any]:
    """The server's resident memory while reports come as fast as it takes them."""
    timings = Timings()
    sizes: list[tuple[int, float]] = []

    def is_over() -> bool:
        if timings.reports >= len(sizes) * reports / _SAMPLES:
            sizes.append((timings.reports, process.memory_info().rss / 2**20))
        return timings.reports >= reports or len(timings.errors) > reports / 10

    took = await _saturated(address, timings, is_over)
    warm = [(count, size) for count, size in sizes if count >= _WARM * reports]
    growth = slope(warm) * 100_000
    size = warm[-1][1]
    print(
        f"memory: {warm[0][1]:.0f} MB after {warm[0][0]} reports, {size:.0f} MB after "
        f"{warm[-1][0]}: {growth:+.1f} MB in 100,000   {timings.reports / took:.0f} reports/s",
        flush=True,
    )
    print("MB by tenths:", *(f"{size:.1f}" for _, size in sizes[:: _SAMPLES // 10]), flush=True)
    _complain(timings)
    return {
        "memory_mb": round(size),
        "memory_growth_mb": round(growth, 1),
        "memory_is_flat": growth < BAR_GROWTH * size,
        "memory_reports": timings.reports,
        "memory_errors": len(timings.errors),
    }


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares' slope of y over x."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


async def _saturated(address: str, timings: Timings, is_over: Callable[[], bool]) -> float:
    """Some workers that report without a pause until it is over; the seconds that it took."""
    workers = [Worker(address, index, timings) for index in range(_AT_ONCE)]
    await lease_all(workers)
    began = perf_counter()
    await asyncio.gather(*(worker.at_once(is_over) for worker in workers))
    took = perf_counter() - began
    await finish_all(workers)
    return took


def _several(admin: str, counts: Sequence[int], *, seconds: float) -> dict[str, Any]:
    """Part (c): reports per second with so many server processes, and the ratios to the first."""
    rates: dict[int, float] = {}
    found: dict[str, Any] = {"process_errors": 0}
    for count in counts:
        with database(admin, "load") as url:
            _submit(url, _AT_ONCE)
            with server(url, processes=count) as (address, _):
                timings = Timings()
                took = asyncio.run(_saturated(address, timings, _in(seconds)))
        rates[count] = timings.reports / took
        found["process_errors"] += len(timings.errors)
        p99 = percentile(timings.seconds["report"], 0.99)
        print(
            f"{count} processes: {rates[count]:7.1f} reports/s   p99 {1000 * p99:6.1f} ms",
            flush=True,
        )
        _complain(timings)
        found[f"processes_{count}_reports_per_s"] = round(rates[count], 1)
        found[f"processes_{count}_ratio"] = round(rates[count] / rates[counts[0]], 2)
    return found


def _in(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have passed since the first reports."""
    began = list[float]()

    def is_over() -> bool:
        began[:] = began or [perf_counter()]
        return perf_counter() > began[0] + seconds

    return is_over


def _submit(url: str, workers: int) -> None:
    """Submit studies that give every worker a trial."""
    upgrade(url)
    db = Database(url)
    for number in range(STUDIES):
        spec = study(f"load-{number}", parallel=-(-workers // STUDIES))
        studies.submit(db, StudySpec.model_validate(spec))
    db.dispose()


if __name__ == "__main__":
    main()
