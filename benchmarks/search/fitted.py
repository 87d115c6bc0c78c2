"""A table of recorded trainings as a task: a model of all of them answers for any params.

The nearest of some hundred trainings in ten dimensions says little: held out, it errs as much as
the mean of the table does (benchmarks/README.md). Extremely randomised trees (Geurts et al. 2006)
err least, with Gaussian processes, and are not what a sampler of ours believes in.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.noise import generator
from benchmarks.search.task import Curve, share_of
from tuner.spec.space import AnyDimension, Choice, Params
from tuner.spec.study import StudySpec

TREES, LEAF = 100, 2
ALIKE = 10  # trained again, whose spread stands for that of params which end about where they do
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Recorded trainings: their params, and values and seconds of each, N×epochs."""

    spec: StudySpec
    params: Sequence[Params]
    values: Floats
    seconds: Floats

    @property
    def inputs(self) -> Floats:
        """What a model sees of the params, N×coordinates."""
        return np.array([encoded(self.spec, params) for params in self.params])

    @property
    def keys(self) -> list[str]:
        """The same text for the same params, which several seeds may have trained."""
        return [json.dumps(params, sort_keys=True) for params in self.params]


class Fitted:
    """Expected curves by params, and how one training departs from what is expected of it."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._spread = rows, Spread.of(rows)

    def curves(self, params: Sequence[Params]) -> list[Curve]:
        """What is expected of trainings with these params; all their epochs take equally long."""
        inputs = np.array([encoded(self._rows.spec, one) for one in params])
        paces = np.exp(self._paces.predict(inputs))
        return [
            Curve(tuple(values.tolist()), (float(pace),) * len(values))
            for values, pace in zip(self._values.predict(inputs), paces, strict=True)
        ]

    def noise(self, task: str, params: Params) -> Floats | float:
        """What the values of a training with these params have beside what is expected."""
        (expected,) = self._values.predict([encoded(self._rows.spec, params)])
        return self._spread.draw(float(expected[-1]), generator(task, params))

    @cached_property
    def _values(self) -> Any:
        return trees(self._rows.inputs, self._rows.values)

    @cached_property
    def _paces(self) -> Any:
        return trees(self._rows.inputs, np.log(self._rows.seconds.mean(axis=1)))


@dataclass(frozen=True, slots=True)
class Spread:
    """What seeds do: final means of params that were trained again, and departures from them.

    `departures` are whole curves, so that noise lasts along a training as it really does; they are
    widened by √(n / (n - 1)) for the mean that was taken of n seeds.
    """

    finals: Floats
    departures: Sequence[Floats]

    @classmethod
    def of(cls, rows: Rows) -> "Spread":
        """The spread of all params in the table that have several rows."""
        groups = defaultdict(list)
        for key, values in zip(rows.keys, rows.values, strict=True):
            groups[key].append(values)
        several = [np.stack(found) for found in groups.values() if len(found) > 1]
        return cls(
            np.array([found[:, -1].mean() for found in several]),
            [_widened(found) for found in several],
        )

    def draw(self, final: float, rng: np.random.Generator) -> Floats | float:
        """The departures of one training, of the ten params that end most alike; 0 without any."""
        if not self.departures:
            return 0.0
        alike = np.argsort(np.abs(self.finals - final), kind="stable")[:ALIKE]
        found = np.concatenate([self.departures[place] for place in alike])
        return np.asarray(found[rng.integers(len(found))])


def trees(inputs: Floats, values: Floats) -> Any:
    """A fitted forest, the same for the same rows."""
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=0, n_jobs=1)
    return forest.fit(inputs, values)


def encoded(spec: StudySpec, params: Params) -> list[float]:
    """Coordinates for every alternative: a place per choice, numbers in the middle if inactive."""
    found: list[float] = []
    for path in spec.space.ordered:
        active = spec.space.active(path, params)
        for dimension in spec.space.root[path]:
            applies = active is not None and active[1] is dimension and path in params
            found += _coordinates(dimension, params[path] if applies else None, applies=applies)
    return found


def _coordinates(dimension: AnyDimension, value: Any, *, applies: bool) -> Iterable[float]:
    if isinstance(dimension, Choice):
        return [float(applies and value == one) for one in dimension.choice]
    return [share_of(dimension, value) if applies else 0.5]


def _widened(values: Floats) -> Floats:
    count = len(values)
    return np.asarray((values - values.mean(axis=0)) * (count / (count - 1)) ** 0.5)
