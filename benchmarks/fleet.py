"""Worker processes that all start at once, repeat one job until the time is up, and time it."""

import multiprocessing
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import percentile

Job = Callable[[], float]  # does one trial; gives the seconds that its lease took
Prepare = Callable[..., Job]


@dataclass(frozen=True)
class Rate:
    """What a fleet did: trials per second, its processors' time, the wait for a trial."""

    trials: int
    seconds: float
    processor_seconds: float
    lease_p50: float
    lease_p99: float

    @property
    def per_second(self) -> float:
        """Trials per second, all workers together."""
        return self.trials / self.seconds


def drive(prepare: Prepare, arguments: tuple[Any, ...], *, workers: int, seconds: float) -> Rate:
    """Run `prepare(*arguments, index)` in each process, then its job until the time is up."""
    context = multiprocessing.get_context("spawn")
    ready, start = context.Barrier(workers + 1), context.Event()
    results: Any = context.Queue()
    processes = [
        context.Process(
            target=_work,
            args=(prepare, (*arguments, index), ready, start, results, seconds),
            daemon=True,
        )
        for index in range(workers)
    ]
    for process in processes:
        process.start()
    ready.wait(timeout=300)
    start.set()
    waits: list[float] = []
    slowest = busy = 0.0
    for _ in processes:
        try:
            took, used, own = results.get(timeout=seconds + 120)
        except queue.Empty:
            raise RuntimeError("a worker of the benchmark ended without a result") from None
        slowest = max(slowest, took)
        busy += used
        waits += own
    for process in processes:
        process.join()
    return Rate(len(waits), slowest, busy, percentile(waits, 0.5), percentile(waits, 0.99))


def _work(
    prepare: Prepare,
    arguments: tuple[Any, ...],
    ready: Any,
    start: Any,
    results: Any,
    seconds: float,
) -> None:
    job = prepare(*arguments)
    ready.wait(timeout=300)
    start.wait()
    began, used = time.perf_counter(), time.process_time()
    waits = []
    while time.perf_counter() - began < seconds:
        waits.append(job())
    results.put((time.perf_counter() - began, time.process_time() - used, waits))
