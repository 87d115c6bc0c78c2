"""Many simulations, one line of JSON each in a file: what is there is not run again."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from math import inf
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from zlib import crc32

from benchmarks.search.groups import find
from benchmarks.search.levels import levels
from benchmarks.search.methods import open_tuner
from benchmarks.search.runfile import Order, Run, add
from benchmarks.search.simulator import (
    TRAINING_SECONDS,
    Clock,
    Seen,
    Setup,
    Simulation,
    Tuner,
)
from benchmarks.search.task import Task


def run(order: Order, curves: Path) -> Run:
    """Run one simulation."""
    return simulate(order, find(order.group, order.task, curves))


def simulate(order: Order, task: Task) -> Run:
    """Run one simulation on a task that is at hand."""
    measured, clock, began = levels(task), Clock(), time.process_time()
    setting = replace(order.setting, seed=own_seed(task.name, order.setting.seed))
    with open_tuner(order.method, task, setting.seed, clock) as tuner:
        record = Simulation(
            task, tuner, setting, clock=clock, seconds=measured.seconds, spread=measured.spread
        ).run()
        milliseconds, drawn_by = _milliseconds(tuner), _drawn_by(tuner)
    return Run(
        order=asdict(order),
        levels=measured,
        direction=task.direction,
        best=_improvements(record.seen, task, order.setting),
        trained=record.trained / TRAINING_SECONDS,
        idle=record.idle / TRAINING_SECONDS,
        trials=len(record.trials),
        leases=record.leases,
        losses=record.losses,
        cpu_seconds=time.process_time() - began,
        milliseconds=milliseconds,
        completed=_improvements(record.completed, task, order.setting),
        drawn_by=drawn_by,
    )


def own_seed(task: str, seed: int) -> int:
    """A seed of the task's own, the same for all methods: else all tasks would share their luck."""
    return crc32(f"{task} {seed}".encode()) % 2**31


def run_all(
    orders: Iterable[Order], curves: Path, path: Path, runs: Iterable[Run], *, jobs: int
) -> Iterator[Run]:
    """Give the run of each order, one of these where it is among them, else run and added to
    the file."""
    wanted = list(orders)
    known = {one.key(): one for one in runs}
    yield from (known[order.key()] for order in wanted if order.key() in known)
    todo = [order for order in wanted if order.key() not in known]
    path.parent.mkdir(parents=True, exist_ok=True)
    for done in _run_each(todo, curves, jobs):
        add(done, path)
        yield done


def _run_each(orders: Sequence[Order], curves: Path, jobs: int) -> Iterator[Run]:
    if jobs == 1:
        yield from (run(order, curves) for order in orders)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, order, curves) for order in orders]):
            yield future.result()


def _improvements(found: Iterable[Seen], task: Task, setting: Setup) -> list[list[float]]:
    rows: list[list[float]] = []
    best = inf
    for seen in sorted(found):
        if task.key(seen.reported) < best:
            best = task.key(seen.reported)
            spent = seen.time * setting.workers / TRAINING_SECONDS
            rows.append([round(spent, 4), seen.value, seen.final])
    return rows


def _drawn_by(tuner: Tuner) -> dict[str, int]:
    """Trials by what drew them, where the tuner knows it."""
    origins: Callable[[], Iterable[str]] = getattr(tuner, "origins", list)
    return dict(sorted(Counter(origins()).items()))


def _milliseconds(tuner: Tuner) -> dict[str, float]:
    """Median processor time of each call, where the tuner measured it."""
    times = getattr(tuner, "times", None)
    if times is None:
        return {}
    return {name: round(1000 * median(found), 3) for name, found in asdict(times).items() if found}
