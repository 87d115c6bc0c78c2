"""`CurveTable`: all trials of a study side by side, quick to compare at a step."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from tuner.search.learning_curve import LearningCurve
from tuner.spec.states import TrialState

Floats = NDArray[np.float64]
_FIRST = 64  # room for trials at the start; it doubles as they come


class CurveTable(Sequence[LearningCurve]):
    """Learning curves in order of arrival, with their values by step as arrays.

    Ten thousand trials are compared in a millisecond; as a plain sequence it would take fifty.
    """

    def __init__(self, curves: Iterable[LearningCurve] = ()) -> None:
        self._curves: list[LearningCurve] = []
        self._index: dict[int, int] = {}
        self._columns: dict[int, Floats] = {}
        self._numbers = np.zeros(_FIRST, dtype=np.int64)
        self._paused_at = np.zeros(_FIRST, dtype=np.int64)
        self._paces = np.zeros(_FIRST)
        for curve in curves:
            self.put(curve)

    def put(self, curve: LearningCurve) -> None:
        """Add a trial, or what happened to it."""
        index = self._index.setdefault(curve.number, len(self._curves))
        if index == len(self._curves):
            self._curves.append(curve)
            self._grow()
        for step in self._curves[index].values.keys() - curve.values.keys():
            self._column(step)[index] = np.nan  # a trial that started again has lost it
        self._curves[index] = curve
        self._numbers[index] = curve.number
        self._paused_at[index] = curve.step if curve.state is TrialState.PAUSED else 0
        self._paces[index] = curve.pace
        for step, value in curve.values.items():
            self._column(step)[index] = value

    def of(self, number: int) -> LearningCurve:
        """The curve of the trial of that number. Raises KeyError."""
        return self._curves[self._index[number]]

    def column(self, step: int) -> Floats:
        """Every trial's value at a step; not a number where it has none."""
        return self._column(step)[: len(self)]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Every trial's number."""
        return self._numbers[: len(self)]

    @property
    def paces(self) -> Floats:
        """Every trial's seconds per step; 0 while unknown."""
        return self._paces[: len(self)]

    def paused_at(self, step: int) -> NDArray[np.bool_]:
        """Which trials are paused at that step."""
        found: NDArray[np.bool_] = self._paused_at[: len(self)] == step
        return found

    def __len__(self) -> int:
        """Number of trials."""
        return len(self._curves)

    def __iter__(self) -> Iterator[LearningCurve]:
        """The curves, in order of arrival."""
        return iter(self._curves)

    @overload
    def __getitem__(self, index: int) -> LearningCurve: ...
    @overload
    def __getitem__(self, index: slice) -> list[LearningCurve]: ...
    def __getitem__(self, index: int | slice) -> LearningCurve | list[LearningCurve]:
        """The curve at a position, or several."""
        return self._curves[index]

    def _column(self, step: int) -> Floats:
        if step not in self._columns:
            self._columns[step] = np.full(len(self._numbers), np.nan)
        return self._columns[step]

    def _grow(self) -> None:
        room = len(self._numbers)
        if len(self._curves) <= room:
            return
        self._numbers = np.concatenate([self._numbers, np.zeros(room, dtype=np.int64)])
        self._paused_at = np.concatenate([self._paused_at, np.zeros(room, dtype=np.int64)])
        self._paces = np.concatenate([self._paces, np.zeros(room)])
        more = np.full(room, np.nan)
        self._columns = {at: np.concatenate([old, more]) for at, old in self._columns.items()}


def as_table(curves: Sequence[LearningCurve]) -> CurveTable:
    """The curves as a table; a table is given back as it is."""
    return curves if isinstance(curves, CurveTable) else CurveTable(curves)
