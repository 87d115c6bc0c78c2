"""Results at rungs as inputs of a model: which of many to look at, and on what scale."""

from collections.abc import Mapping, Sequence
from math import isfinite, nan

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from tuner.search.cube import UnitCube
from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import Inputs, Integers
from tuner.search.trial_arrays import TrialColumns

_FEWEST = 8  # results of a rung before their own spread is its scale
_FAR = 100.0  # spreads of the rung below beyond which that is not the scale of this one
_ROUNDING = 1e-14  # of the largest value: what differs by less is equal
_HUGE = 1e100  # so that squares of values are finite
_NO_BOUNDS: Mapping[str, float] = {}
_MOST_BROKEN = 3.0  # how far below 0 a slack goes


class RungResults(TrialColumns):
    """A trial's point, and its first objective at each rung; the last column is its final value.

    `is_open` says that it trains, or waits for a worker: not that it was paused.
    """

    _columns = (
        *("_shares", "points", "is_whole", "is_open"),
        *("values", "finals", "violations", "is_broken"),
    )

    def __init__(self, cube: UnitCube, steps: Sequence[int], objectives: int) -> None:
        super().__init__()
        self._cube, self._steps = cube, tuple(steps)
        self._shares = np.empty((0, len(cube)))
        self.points = np.empty((0, len(cube)))
        self.is_whole = np.empty(0, dtype=bool)  # has a value for all that is active
        self.is_open = np.empty(0, dtype=bool)
        self.values = np.empty((0, len(steps) + 1))  # nan where it has not been
        self.finals = np.empty((0, objectives))
        self.violations = np.empty(0, dtype=object)  # by the constraint's name
        self.is_broken = np.empty(0, dtype=bool)  # some constraint

    def update(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Bring the rows up to date with these trials, in their order; give those that changed."""
        changed = super().update(trials)
        whole = self._cube.whole(self._shares[changed])
        self.points[changed], self.is_whole[changed] = whole
        return changed

    def _read(self, row: int, trial: FrozenTrial) -> None:
        self._shares[row] = self._cube.shares(trial.params)
        is_paused = getattr(trial, "is_paused", False)
        self.is_open[row] = trial.state is TrialState.RUNNING and not is_paused
        self.violations[row] = trial.constraints or _NO_BOUNDS
        self.is_broken[row] = any(value > 0 for value in trial.constraints.values())
        is_complete, has_failed = trial.state is TrialState.COMPLETE, trial.state is TrialState.FAIL
        self.finals[row] = trial.values if is_complete else nan
        steps = {} if has_failed else trial.intermediate_values
        self.values[row, :-1] = [_finite(steps.get(step, nan)) for step in self._steps]
        self.values[row, -1] = _finite(self.finals[row, 0])


def standardised(values: Floats, *, clipped: bool = True) -> Floats:
    """Each rung's values, of which more is better, by their median and their spread.

    If `clipped`, what is worse than the median by more than the best is better stands there: how
    bad a bad trial is says little. Few values have the spread of the rung below, unless its values
    are all but equal. The unit in which values are measured changes nothing.
    """
    found, spread = np.full_like(values, nan), None
    for rung in range(values.shape[1]):
        is_there = np.isfinite(values[:, rung])
        if not is_there.any():
            continue
        there = np.clip(values[is_there, rung], -_HUGE, _HUGE)
        middle, largest = np.median(there), np.abs(there).max()
        if clipped:
            there = np.maximum(there, 2 * middle - there.max())
        there -= middle
        farthest = np.abs(there).max()
        if farthest <= _ROUNDING * largest:
            found[is_there, rung] = 0.0
            continue
        if spread is None or len(there) >= _FEWEST or farthest > _FAR * spread:
            spread = float((there / farthest).std() * farthest)  # no square that is 0 or infinite
        found[is_there, rung] = there / spread
    return found


def kept(values: Floats, most: int) -> Integers:
    """Rows of some trials that have `most` results together, in turn of three orders.

    The best at high rungs, the latest, and some of all times, so that what is bad is known too.
    Of fewer results the first of these rows are kept. `values` of trials × rungs, more is better.
    """
    is_there = np.isfinite(values)
    counts = is_there.sum(axis=1)
    has_any = np.flatnonzero(counts)
    rungs = values.shape[1] - 1 - is_there[has_any, ::-1].argmax(axis=1)  # the highest
    best = has_any[np.lexsort((-values[has_any, rungs], -rungs))]
    # Rows that high powers of two divide are spread evenly, and stay so as trials come.
    spread = has_any[np.argsort(-(has_any & -has_any), kind="stable")]
    turns = np.stack([best, has_any[::-1], spread], axis=1).ravel()
    rows = np.array(list(dict.fromkeys(turns[: 3 * most].tolist())))
    return rows[np.cumsum(counts[rows]) <= most]


def as_rows(points: Floats, numbers: Integers, values: Floats) -> tuple[Inputs, Floats]:
    """The results of some trials one by one, with their values."""
    trials, rungs = np.nonzero(np.isfinite(values))
    return Inputs(points[trials], rungs, numbers[trials]), values[trials, rungs]


def slacks(violations: Sequence[Mapping[str, float]], name: str) -> Floats:
    """What is left to a bound: 1 where it is kept, below 0 where it is broken; nan if unknown.

    Far beyond it, how far matters less.
    """
    broken = np.array([each.get(name, nan) for each in violations], dtype=float)
    is_broken = broken > 0
    scale = np.median(broken[is_broken]) if is_broken.any() else 1.0
    found = np.where(np.isnan(broken), nan, 1.0)
    found[is_broken] = -np.minimum(np.log1p(broken[is_broken] / scale), _MOST_BROKEN)
    return np.asarray(found)


def _finite(value: float) -> float:
    return value if isfinite(value) else nan
