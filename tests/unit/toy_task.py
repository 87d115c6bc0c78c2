"""A task of the search benchmark that is made up, and runs on it."""

import math
from collections.abc import Sequence
from dataclasses import asdict

from benchmarks.search.levels import Levels
from benchmarks.search.runfile import Run
from benchmarks.search.simulator import Setup
from benchmarks.search.task import Curve, Task
from tuner.spec.space import Params

EPOCHS = 9


def curves(params: Sequence[Params]) -> list[Curve]:
    """Courses that rise to a height which the params alone decide; an epoch takes a second."""
    heights = [1 - abs(math.log10(one["optimizer.lr"]) + 2) / 2 for one in params]
    every = (1.0,) * EPOCHS
    return [Curve(course(height * (1 - 0.5**EPOCHS)), every) for height in heights]


def course(final: float) -> tuple[float, ...]:
    """The values of every epoch, of which the last is given."""
    height = final / (1 - 0.5**EPOCHS)
    return tuple(height * (1 - 0.5**step) for step in range(1, EPOCHS + 1))


TASK = Task(
    name="toy",
    metric="miou",
    direction="maximize",
    epochs=EPOCHS,
    base={"schedule": {"warmup": 0.0}},
    space={
        "optimizer.lr": {"float": [1e-4, 1e-1], "log": True},
        "training.batch_size": {"int": [2, 32]},
    },
    curves=curves,
)

LEVELS = Levels(
    best_seen=0.9,
    median_seen=0.5,
    best_final=0.9,
    median_final=0.5,
    best_of_40=0.7,
    best_of_160=0.85,
    seconds=9.0,
)


def made_up(*best: list[float], seed: int = 0, task: str = "toy", method: str = "m") -> Run:
    """A run of which only `best` says something."""
    setting = asdict(Setup(seed=seed))
    return Run(
        order={"group": "toys", "task": task, "method": method, "setting": setting},
        levels=LEVELS,
        direction="maximize",
        best=list(best),
        trained=40,
        idle=0,
        trials=1,
        leases=1,
        losses=0,
        cpu_seconds=0,
        milliseconds={},
    )
