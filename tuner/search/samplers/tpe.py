"""Tree-structured Parzen estimator: draws where good trials are dense and weak ones are not.

Bergstra et al. 2011; multivariate form after Falkner et al. 2018; running trials count as weak
ones (constant liar), so that parallel draws spread out.
"""

import warnings
from typing import Annotated, Any

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from pydantic import Field

from tuner.optuna_encoding import varying
from tuner.search.rules import Rules
from tuner.search.samplers._known import KnownSpace
from tuner.search.samplers._parzen import ParzenSampler
from tuner.spec.space import SearchSpace


def build(
    rules: Rules,
    seed: int,
    *,
    startup: Annotated[int, Field(ge=0)] = 10,
    candidates: Annotated[int, Field(ge=1)] = 24,
    multivariate: bool | None = None,
    liar: bool = True,
) -> BaseSampler:
    """Give the sampler; the first `startup` results come from random draws.

    `multivariate` None leaves the choice to Optuna: on for one objective, off for several.
    """
    joint = len(rules.spec.objectives) == 1 if multivariate is None else multivariate
    options: dict[str, Any] = {
        "n_startup_trials": startup,
        "n_ei_candidates": candidates,
        "seed": seed,
        "multivariate": joint,
        "constant_liar": liar,
    }
    with warnings.catch_warnings():
        # `group` is experimental in Optuna since 2.8; it is what carries conditional spaces.
        warnings.simplefilter("ignore", ExperimentalWarning)
        if joint and not rules.spec.space.is_conditional:
            return _Flat(rules.spec.space, **options)
        return ParzenSampler(**options, group=joint)


class _Flat(KnownSpace, ParzenSampler):
    """Joint TPE over a space without conditions: every trial has the same params.

    To read the space off the history would cost more than the draw itself.
    """

    def __init__(self, space: SearchSpace, **options: Any) -> None:
        super().__init__(**options)
        self.known = varying(space)
