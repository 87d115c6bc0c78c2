"""Tree-structured Parzen estimator: draws where good trials are dense and weak ones are not.

Bergstra et al. 2011; multivariate form after Falkner et al. 2018; running trials count as weak
ones (constant liar), so that parallel draws spread out.
"""

import warnings
from typing import Annotated

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from pydantic import Field

from tuner.spec.study import StudySpec


def build(
    spec: StudySpec,
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
    joint = len(spec.objectives) == 1 if multivariate is None else multivariate
    with warnings.catch_warnings():
        # `group` is experimental in Optuna since 2.8; it is what carries conditional spaces.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            seed=seed,
            multivariate=joint,
            group=joint and spec.space.is_conditional,
            constant_liar=liar,
        )
