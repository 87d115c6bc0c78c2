"""Every point of a finite space once, in the order in which the space lists them.

Conditions are respected: a param that does not apply multiplies nothing.
"""

from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.optuna_encoding import distributions, encode
from tuner.search.rules import Rules
from tuner.search.samplers._known import PointSampler
from tuner.spec.grid import points
from tuner.spec.space import SearchSpace

SYSTEMATIC = True
EXHAUSTIVE = True


def build(rules: Rules, seed: int) -> BaseSampler:
    """Give the sampler; `seed` only matters once every point is taken."""
    return GridSampler(rules.spec.space, seed)


class GridSampler(PointSampler):
    """Draws the first point that no trial of the study has."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self.known = distributions(space)
        self.otherwise = RandomSampler(seed=seed)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point, or nothing when all are taken."""
        taken = {
            _key(other.params) for other in study.get_trials(deepcopy=False) if other is not trial
        }
        for point in points(self._space):
            values, _ = encode(self._space, point, known=self.known)
            if _key(values) not in taken:
                return values
        return {}


def _key(values: dict[str, Any]) -> str:
    return repr(sorted(values.items()))
