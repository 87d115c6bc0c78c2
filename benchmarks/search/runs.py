"""Many simulations, one line of JSON each in a file: what is there is not run again."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from math import inf
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any
from zlib import crc32

from benchmarks.search.groups import find
from benchmarks.search.levels import Levels, levels
from benchmarks.search.methods import open_tuner
from benchmarks.search.simulator import (
    TRAINING_SECONDS,
    Clock,
    Record,
    Setup,
    Simulation,
    Tuner,
)
from benchmarks.search.task import Task


@dataclass(frozen=True, slots=True)
class Order:
    """One simulation to run."""

    group: str
    task: str
    method: str
    setting: Setup

    def key(self) -> str:
        """What makes it this simulation."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One simulation that was run. Budgets count whole trainings.

    `best` is a row (budget, value, last value of that training) for each epoch that reported
    better than all before. Both values are true ones, free of noise.
    """

    order: dict[str, Any]
    levels: Levels
    direction: str
    best: list[list[float]]
    trained: float
    idle: float
    trials: int
    leases: int
    losses: int
    cpu_seconds: float
    milliseconds: dict[str, float]


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
        milliseconds = _milliseconds(tuner)
    return Run(
        order=asdict(order),
        levels=measured,
        direction=task.direction,
        best=_improvements(record, task, order.setting),
        trained=record.trained / TRAINING_SECONDS,
        idle=record.idle / TRAINING_SECONDS,
        trials=len(record.trials),
        leases=record.leases,
        losses=record.losses,
        cpu_seconds=time.process_time() - began,
        milliseconds=milliseconds,
    )


def own_seed(task: str, seed: int) -> int:
    """A seed of the task's own, the same for all methods: else all tasks would share their luck."""
    return crc32(f"{task} {seed}".encode()) % 2**31


def run_all(orders: Iterable[Order], curves: Path, path: Path, *, jobs: int) -> Iterator[Run]:
    """Give the run of each order, from the file where it is there, else run and added to it."""
    wanted = list(orders)
    known = {json.dumps(one.order, sort_keys=True): one for one in load(path)}
    yield from (known[order.key()] for order in wanted if order.key() in known)
    todo = [order for order in wanted if order.key() not in known]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for done in _run_each(todo, curves, jobs):
            file.write(json.dumps(asdict(done)) + "\n")
            file.flush()
            yield done


def load(path: Path) -> list[Run]:
    """Every whole run in the file; a line that was cut off is passed over."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        if line.endswith("}"):
            document = json.loads(line)
            order = document["order"]
            order["setting"] = asdict(Setup(**order["setting"]))  # what is newer than the file too
            found.append(Run(**{**document, "levels": Levels(**document["levels"])}))
    return found


def _run_each(orders: Sequence[Order], curves: Path, jobs: int) -> Iterator[Run]:
    if jobs == 1:
        yield from (run(order, curves) for order in orders)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, order, curves) for order in orders]):
            yield future.result()


def _improvements(record: Record, task: Task, setting: Setup) -> list[list[float]]:
    rows: list[list[float]] = []
    best = inf
    for seen in sorted(record.seen):
        if task.key(seen.reported) < best:
            best = task.key(seen.reported)
            spent = seen.time * setting.workers / TRAINING_SECONDS
            rows.append([round(spent, 4), seen.value, seen.final])
    return rows


def _milliseconds(tuner: Tuner) -> dict[str, float]:
    """Median processor time of each call, where the tuner measured it."""
    times = getattr(tuner, "times", None)
    if times is None:
        return {}
    return {name: round(1000 * median(found), 3) for name, found in asdict(times).items() if found}
