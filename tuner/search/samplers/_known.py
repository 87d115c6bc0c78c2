"""Samplers that know the space, where Optuna would read it off the history at every draw."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class KnownSpace(BaseSampler):
    """Draws all dimensions of `known` together, whatever is active; it goes first among bases."""

    known: Mapping[str, BaseDistribution]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The dimensions, by Optuna's name."""
        return dict(self.known)


class PointSampler(KnownSpace):
    """Draws points; what no point has a value for comes from the sampler `otherwise`."""

    otherwise: BaseSampler

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value from the other sampler."""
        return self.otherwise.sample_independent(study, trial, param_name, param_distribution)
