"""Whether a rung predicts the next one: the guard of every search that compares early values."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from tuner.search.curve_table import Floats, as_table
from tuner.search.learning_curve import LearningCurve
from tuner.wording import quantity

FLOOR = 0.3  # Spearman's rank correlation below which a rung says too little
FEWEST = 10  # trials at both rungs before anything is said
MARGIN = 1.5  # standard errors


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank correlation of the trials' values at a rung with those at the next one."""

    step: int
    next_step: int
    trials: int
    correlation: float

    @property
    def is_poor(self) -> bool:
        """Whether the correlation is clearly below the floor.

        Only the better trials of a rung reach the next, which alone lowers the correlation; so
        doubt counts for the rung.
        """
        return self.correlation + MARGIN / sqrt(self.trials - 1) < FLOOR

    def describe(self) -> str:
        """The finding in words."""
        return (
            f"ranks at epoch {self.step} say little about epoch {self.next_step} (Spearman "
            f"{self.correlation:.2f} over {quantity(self.trials, 'trial')}): while that holds, "
            f"trials are not compared at epoch {self.step}"
        )


def agreements(curves: Sequence[LearningCurve], steps: Sequence[int]) -> tuple[Agreement, ...]:
    """The agreement of each step with the next, where enough trials have both values."""
    table = as_table(curves)
    found = []
    for step, following in pairwise(steps):
        first, second = table.column(step), table.column(following)
        both = np.isfinite(first) & np.isfinite(second)
        if int(both.sum()) >= FEWEST:
            correlation = spearman(first[both], second[both])
            found.append(Agreement(step, following, int(both.sum()), correlation))
    return tuple(found)


def spearman(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation, equal values sharing their rank; 0 where all are equal."""
    one, other = _ranks(first), _ranks(second)
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Floats = (ends - (counts - 1) / 2)[inverse]
    return middle
