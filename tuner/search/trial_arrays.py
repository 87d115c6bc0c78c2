"""The trials of a study as arrays, kept from draw to draw: what changed is read again, no more."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from math import inf, isnan, nan

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class CachedTrial(FrozenTrial):
    """A trial that keeps its params as numbers, for tables that are made anew at every draw."""

    _numbers: tuple[tuple[str, ...], tuple[float, ...]] | None = None

    def numbers(self, space: Mapping[str, BaseDistribution]) -> tuple[float, ...] | None:
        """The params of a space in its order; None while the trial has not all of them.

        A param's distribution is the same at every call: that of the study.
        """
        names = tuple(space)
        if self._numbers is None or self._numbers[0] != names:
            if not space.keys() <= self.params.keys():
                return None
            found = (each.to_internal_repr(self.params[name]) for name, each in space.items())
            self._numbers = names, tuple(found)
        return self._numbers[1]


class TrialArrays:
    """One row per trial: its params as Optuna's numbers, its state and its rank.

    A trial is never changed where it stands but replaced by another object, so that a look at the
    objects tells which rows are out of date.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], *, maximize: bool) -> None:
        self._space, self._maximize = dict(space), maximize
        self._trials: list[CachedTrial] = []
        self.numbers = np.empty(0, dtype=int)
        self.params = np.empty((0, len(space)))  # in the space's order; nan in rows that lack one
        self.is_ended = np.empty(0, dtype=bool)  # completed or pruned
        self.is_running = np.empty(0, dtype=bool)
        self._merits = np.empty((0, 3))  # of those that ended

    def update(self, trials: Sequence[CachedTrial]) -> None:
        """Bring the rows up to date with these trials, one row each, in their order."""
        self._resize(len(trials))
        pairs = zip_longest(trials, self._trials)
        for row in [row for row, (trial, known) in enumerate(pairs) if trial is not known]:
            self._read(row, trials[row])
        self._trials = list(trials)

    def ranked(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """These rows, of trials that ended, the best first; equals stay in their order."""
        return rows[np.lexsort(self._merits[rows].T[::-1])]

    def _resize(self, count: int) -> None:
        for name in ("numbers", "params", "is_ended", "is_running", "_merits"):
            column = getattr(self, name)
            if len(column) == count:
                continue
            more = np.empty((max(0, count - len(column)), *column.shape[1:]), dtype=column.dtype)
            setattr(self, name, np.concatenate([column[:count], more]))
        del self._trials[count:]

    def _read(self, row: int, trial: CachedTrial) -> None:
        self.numbers[row] = trial.number
        self.is_ended[row] = trial.state in _ENDED
        self.is_running[row] = trial.state is TrialState.RUNNING
        self._merits[row] = merit(trial, maximize=self._maximize) if self.is_ended[row] else nan
        numbers = trial.numbers(self._space)
        self.params[row] = nan if numbers is None else numbers


def merit(trial: FrozenTrial, *, maximize: bool) -> tuple[float, float, float]:
    """Where an ended trial stands by its one objective, the lowest first.

    Feasible completed trials by value, then pruned ones by step and value, then those that break a
    bound, by how far.
    """
    sign = -1.0 if maximize else 1.0
    excess = sum(bound for bound in trial.constraints.values() if bound > 0)
    if excess > 0:
        return 2, excess, 0
    if trial.state is TrialState.COMPLETE:
        return 0, sign * trial.values[0], 0
    if trial.intermediate_values:
        step, value = max(trial.intermediate_values.items())
        return 1, -step, inf if isnan(value) else sign * value
    return 1, 1, 0
