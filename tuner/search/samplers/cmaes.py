"""CMA-ES: an evolving normal distribution over the numeric params.

Hansen & Ostermeier 2001, by the `cmaes` package. Choices are drawn beside it by TPE, one by one.
A pruned trial counts with its last value. The state of the evolution is stored with the trial that
opens a generation.
"""

import warnings
from collections.abc import Sequence
from typing import Annotated, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from tuner.optuna_encoding import varying
from tuner.search.optuna_trials import excerpt
from tuner.search.rules import Rules
from tuner.search.samplers._known import KnownSpace
from tuner.spec.space import SearchSpace

NEEDS = ("cmaes",)
CONDITIONAL = False
OBJECTIVES = "one"
CONSTRAINTS = False
NUMERIC = True
LEARNS_FROM_PAUSED = False


def build(
    rules: Rules,
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
        return Evolution(
            rules.spec.space,
            n_startup_trials=startup,
            popsize=population,
            with_margin=margin,
            consider_pruned_trials=True,
            independent_sampler=TPESampler(seed=seed, multivariate=False),
            warn_independent_sampling=False,
            seed=seed,
        )


class Evolution(KnownSpace, CmaEsSampler):
    """CMA-ES over the numeric params that have more than one value.

    Of a long history it gets what it needs: the last state and the generation of that.
    """

    def __init__(self, space: SearchSpace, **options: Any) -> None:
        super().__init__(**options)
        self._startup = options["n_startup_trials"]
        self._prefix = "cmawm" if options["with_margin"] else "cma"
        self.known = {
            name: distribution
            for name, distribution in varying(space).items()
            if not isinstance(distribution, CategoricalDistribution)
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next point of the evolution; what it notes goes to the trial."""
        view, storage = excerpt(study, trial, self.needed(study.get_trials(deepcopy=False)))
        params = super().sample_relative(view, trial, search_space)
        for key, value in storage.noted.items():
            study._storage.set_trial_system_attr(trial._trial_id, key, value)
        return params

    def needed(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trial with the last state, those of its generation, and enough to begin at all."""
        ended = [
            trial
            for trial in trials
            if trial.state is TrialState.COMPLETE
            or (trial.state is TrialState.PRUNED and trial.intermediate_values)
        ]
        state, generation = f"{self._prefix}:optimizer:0", f"{self._prefix}:generation"
        last = next((trial for trial in reversed(ended) if state in trial.system_attrs), None)
        current = 0 if last is None else last.system_attrs[generation]
        return [
            trial
            for place, trial in enumerate(ended)
            if place < self._startup
            or trial is last
            or trial.system_attrs.get(generation) == current
        ]
