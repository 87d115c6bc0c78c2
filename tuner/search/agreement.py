"""Whether a rung predicts the next one: the guard of every search that compares early values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, sqrt

import numpy as np

from tuner.search.course import Course

FLOOR = 0.3  # Spearman's rank correlation below which a rung says too little
FEWEST = 8  # trials at both rungs before anything is said


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank correlation of the trials' values at a rung with those at the next one."""

    step: int
    next_step: int
    trials: int
    correlation: float

    @property
    def is_poor(self) -> bool:
        """Whether the correlation is below the floor by more than its standard error.

        Only the better trials of a rung reach the next, which alone lowers the correlation; so
        doubt counts for the rung.
        """
        return self.correlation + 1 / sqrt(self.trials - 1) < FLOOR

    def told(self) -> str:
        """The finding in words."""
        return (
            f"ranks at epoch {self.step} say little about epoch {self.next_step} (Spearman "
            f"{self.correlation:.2f} over {self.trials} trials): trials are no longer compared "
            f"at epoch {self.step}"
        )


def agreements(courses: Iterable[Course], steps: Sequence[int]) -> tuple[Agreement, ...]:
    """The agreement of each step with the next, where enough trials have both values."""
    known = list(courses)
    found = []
    for step, following in pairwise(steps):
        pairs = [
            (course.values[step], course.values[following])
            for course in known
            if step in course.values and following in course.values
        ]
        finite = [pair for pair in pairs if all(map(isfinite, pair))]
        if len(finite) >= FEWEST:
            found.append(Agreement(step, following, len(finite), spearman(finite)))
    return tuple(found)


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's rank correlation, equal values sharing their rank; 0 where all are equal."""
    first, second = (_ranks(column) for column in zip(*pairs, strict=True))
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: np.ndarray = (ends - (counts - 1) / 2)[inverse]
    return middle
