"""A table of recorded trainings as a task: each draw stands for the nearest recorded one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.task import Curve, point_of
from tuner.spec.space import Choice, Params
from tuner.spec.study import StudySpec


@dataclass(frozen=True, slots=True)
class Table:
    """Recorded points, N×D, and the curve of each.

    Distance is Euclidean between unit coordinates, logarithms where the range is logarithmic; a
    choice that differs counts 1, and so does a path that applies to one of the two only.
    """

    spec: StudySpec
    points: NDArray[np.float64]
    recorded: Sequence[Curve]

    def curves(self, params: Sequence[Params]) -> list[Curve]:
        """The curve of the nearest recorded training, for each of these params."""
        return [self.recorded[self._nearest(one)] for one in params]

    def _nearest(self, params: Params) -> int:
        return int(np.argmin(self._distances(coordinates(self.spec, params))))

    def _distances(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        apart = np.where(self._is_choice(), self.points != point, np.abs(self.points - point))
        one_missing = np.isnan(self.points) != np.isnan(point)
        both_missing = np.isnan(self.points) & np.isnan(point)
        apart = np.where(one_missing, 1.0, np.where(both_missing, 0.0, apart))
        squares: NDArray[np.float64] = np.square(apart).sum(axis=1)
        return squares

    def _is_choice(self) -> NDArray[np.bool_]:
        space = self.spec.space
        return np.array([isinstance(space.root[path][0], Choice) for path in space.ordered])


def coordinates(spec: StudySpec, params: Params) -> NDArray[np.float64]:
    """Unit coordinates; not a number where a path does not apply."""
    point = point_of(spec, params)
    return np.array([np.nan if share is None else share for share in point])
