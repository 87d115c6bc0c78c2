"""The trials of a study as arrays, kept from draw to draw: what changed is read again, no more."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from math import inf, isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class CachedTrial(FrozenTrial):
    """A trial that keeps its params as numbers, for tables that are made anew at every draw.

    One that is paused counts as running, as Optuna knows no such state; it says so itself.
    """

    is_paused = False
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


class TrialColumns(ABC):
    """One row per trial, in arrays that a subclass names.

    A trial is never changed where it stands but replaced by another object, so that a look at the
    objects tells which rows are out of date.
    """

    _columns: tuple[str, ...]

    def __init__(self) -> None:
        self._trials: list[FrozenTrial] = []
        self.numbers = np.empty(0, dtype=int)

    def update(self, trials: Sequence[FrozenTrial]) -> list[int]:
        """Bring the rows up to date with these trials, in their order; give those that changed."""
        self._resize(len(trials))
        pairs = zip_longest(trials, self._trials)
        changed = [row for row, (trial, known) in enumerate(pairs) if trial is not known]
        changed = [row for row in changed if row < len(trials)]
        for row in changed:
            self.numbers[row] = trials[row].number
            self._read(row, trials[row])
        self._trials = list(trials)
        return changed

    @abstractmethod
    def _read(self, row: int, trial: Any) -> None:
        """Fill the row of a trial."""

    def _resize(self, count: int) -> None:
        for name in ("numbers", *self._columns):
            column = getattr(self, name)
            if len(column) == count:
                continue
            more = np.empty((max(0, count - len(column)), *column.shape[1:]), dtype=column.dtype)
            setattr(self, name, np.concatenate([column[:count], more]))
        del self._trials[count:]


class TrialArrays(TrialColumns):
    """A trial's params as Optuna's numbers, its state and its rank."""

    _columns = ("params", "is_ended", "is_running", "_merits")

    def __init__(self, space: Mapping[str, BaseDistribution], *, maximize: bool) -> None:
        super().__init__()
        self._space, self._maximize = dict(space), maximize
        self.params = np.empty((0, len(space)))  # in the space's order; nan in rows that lack one
        self.is_ended = np.empty(0, dtype=bool)  # completed or pruned
        self.is_running = np.empty(0, dtype=bool)
        self._merits = np.empty((0, 3))  # of those that ended

    def ranked(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """These rows, of trials that ended, the best first; equals stay in their order."""
        return rows[np.lexsort(self._merits[rows].T[::-1])]

    def _read(self, row: int, trial: CachedTrial) -> None:
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
