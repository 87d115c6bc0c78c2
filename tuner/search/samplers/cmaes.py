"""CMA-ES: an evolving normal distribution over the numeric params.

Hansen & Ostermeier 2001, by the `cmaes` package. Choices are drawn beside it by TPE, one by one.
A pruned trial counts with its last value. The state of the evolution is stored with the trial that
opens a generation.
"""

import warnings
from typing import Annotated, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial
from pydantic import Field

from tuner.optuna_encoding import distributions
from tuner.spec.space import SearchSpace
from tuner.spec.study import StudySpec

NEEDS = ("cmaes",)
CONDITIONAL = False
OBJECTIVES = "one"
CONSTRAINTS = False
NUMERIC = True
PAUSES = False


def build(
    spec: StudySpec,
    seed: int,
    *,
    startup: Annotated[int, Field(ge=0)] = 1,
    population: Annotated[int, Field(ge=5, le=1000)] | None = None,
    margin: bool = False,
) -> BaseSampler:
    """Give the sampler; its first `startup` results come from random draws.

    `population` None: 4 + 3 ln(dimensions). `margin` keeps whole numbers and steps from freezing
    (Hamano et al. 2022).
    """
    with warnings.catch_warnings():
        # Pruned trials and margins are experimental in Optuna since 2.0 and 3.1.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _Evolution(
            spec.space,
            n_startup_trials=startup,
            popsize=population,
            with_margin=margin,
            consider_pruned_trials=True,
            independent_sampler=TPESampler(seed=seed, multivariate=False),
            warn_independent_sampling=False,
            seed=seed,
        )


class _Evolution(CmaEsSampler):
    """CMA-ES over a space that is known, where Optuna would read it off the history."""

    def __init__(self, space: SearchSpace, **options: Any) -> None:
        super().__init__(**options)
        self._known = {
            name: distribution
            for name, distribution in sorted(distributions(space).items())
            if not (distribution.single() or isinstance(distribution, CategoricalDistribution))
        }

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Every numeric param that has more than one value."""
        return self._known
