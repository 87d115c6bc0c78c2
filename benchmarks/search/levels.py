"""What is good on a task: the best of many random draws, the middle, what luck finds in N."""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, astuple, dataclass
from math import isclose
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.task import Task, params_at
from tuner.spec.space import Params

SAMPLE = 2_000
PROBES = 8
ROUNDING = 1e-4  # packed runs have levels of a few digits


@dataclass(frozen=True, slots=True)
class Levels:
    """Values of a task in its own direction.

    `seen` is of the best value of a training, `final` of its last one.
    """

    best_seen: float
    median_seen: float
    best_final: float
    median_final: float
    best_of_40: float
    best_of_160: float
    seconds: float  # of a whole training, on average

    @property
    def spread(self) -> float:
        """Of final values: from the best to the median one, which is what a regret of 1 is."""
        return abs(self.best_final - self.median_final)

    def regret(self, value: float) -> float:
        """0: the best that is known, 1: the best value of the median random training."""
        return (self.best_seen - value) / (self.best_seen - self.median_seen)

    def final_regret(self, value: float) -> float:
        """The same for the last value of a training."""
        return (self.best_final - value) / (self.best_final - self.median_final)

    def agree_with(self, others: "Levels") -> bool:
        """Whether both are of the same task, as far as rounded numbers show."""
        pairs = zip(astuple(self), astuple(others), strict=True)
        return all(isclose(one, other, rel_tol=ROUNDING) for one, other in pairs)


def levels(task: Task, *, sample: int = SAMPLE) -> Levels:
    """The levels of a task, kept in the temporary folder: they cost some thousand curves."""
    drawn = _draw(task, PROBES)  # a table that has grown since answers otherwise
    what = json.dumps([task.name, task.epochs, task.space, sample, task.curves(drawn)])
    digest = hashlib.sha256(what.encode()).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / "segtune-benchmark" / f"{task.name}-{digest}.json"
    if path.exists():
        return Levels(**json.loads(path.read_text()))
    found = measure(task, sample=sample)
    path.parent.mkdir(exist_ok=True)
    whole = path.with_suffix(f".{os.getpid()}")  # others may read the file meanwhile
    whole.write_text(json.dumps(asdict(found)))
    whole.replace(path)
    return found


def measure(task: Task, *, sample: int = SAMPLE) -> Levels:
    """Train that many random draws."""
    curves = task.curves(_draw(task, sample))
    values = np.array([curve.values for curve in curves])
    sign = task.key(1.0)
    seen, final = sign * (sign * values).min(axis=1), values[:, -1]
    return Levels(
        best_seen=float(sign * (sign * seen).min()),
        median_seen=float(np.median(seen)),
        best_final=float(sign * (sign * final).min()),
        median_final=float(np.median(final)),
        best_of_40=best_of(40, task, seen),
        best_of_160=best_of(160, task, seen),
        seconds=float(np.mean([sum(curve.seconds) for curve in curves])),
    )


def _draw(task: Task, count: int) -> list[Params]:
    spec = task.study({})
    points = np.random.default_rng(20).random((count, len(task.space)))
    return [params_at(spec, point) for point in points]


def best_of(count: int, task: Task, values: NDArray[np.float64]) -> float:
    """The expected best of `count` random trainings, exactly for this sample."""
    ranked = np.sort(task.key(1.0) * values)[::-1]  # worst first
    shares = np.arange(len(ranked) + 1) / len(ranked)
    return float(task.key(1.0) * (ranked @ np.diff(shares**count)))
