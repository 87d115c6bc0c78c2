"""NSGA-III: generations of trials, kept spread over the front by reference points.

Deb & Jain 2014; meant for three and more objectives. Conditions as with nsga2.
"""

import warnings
from typing import Annotated, Literal

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIIISampler
from pydantic import Field

from tuner.optuna_encoding import varying
from tuner.search.rules import Rules
from tuner.search.samplers._ancestry import Ancestry, population_size
from tuner.search.samplers._ancestry import crossover as crossing

LEARNS_FROM_PAUSED = False


def build(
    rules: Rules,
    seed: int,
    *,
    population: Annotated[int, Field(ge=2, le=10000)] | None = None,
    crossover: Literal["uniform", "blx", "sbx"] = "uniform",
    crossover_share: Annotated[float, Field(ge=0, le=1)] = 0.9,
    mutation: Annotated[float, Field(ge=0, le=1)] | None = None,
    divisions: Annotated[int, Field(ge=1, le=50)] = 3,
) -> BaseSampler:
    """Give the sampler; `divisions` of each objective's axis lie between reference points.

    `population` None: a fifth of the trials, 8 to 50. `mutation` None: one param of a child in
    the mean.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # since Optuna 3.2
        sampler = Nsga3(
            population_size=population_size(rules.spec, population),
            crossover=crossing(crossover),
            crossover_prob=crossover_share,
            mutation_prob=mutation,
            dividing_parameter=divisions,
            seed=seed,
        )
    sampler.known, sampler.seed = varying(rules.spec.space), seed
    return sampler


class Nsga3(Ancestry, NSGAIIISampler):
    """Its name is part of what is stored with trials."""
