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
from tuner.spec.grid import points
from tuner.spec.space import SearchSpace

SYSTEMATIC = True
EXHAUSTIVE = True


def build(rules: Rules, seed: int) -> BaseSampler:
    """Give the sampler; `seed` only matters once every point is taken."""
    return GridSampler(rules.spec.space, seed)


class GridSampler(BaseSampler):
    """Draws the first point that no trial of the study has."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._distributions = distributions(space)
        self._afterwards = RandomSampler(seed=seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The whole space: a point is drawn as one."""
        return dict(self._distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point, or nothing when all are taken."""
        taken = {
            _key(other.params) for other in study.get_trials(deepcopy=False) if other is not trial
        }
        for point in points(self._space):
            values, _ = encode(self._space, point, known=self._distributions)
            if _key(values) not in taken:
                return values
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value, once every point is taken."""
        return self._afterwards.sample_independent(study, trial, param_name, param_distribution)


def _key(values: dict[str, Any]) -> str:
    return repr(sorted(values.items()))
