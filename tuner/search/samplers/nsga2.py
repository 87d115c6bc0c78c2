"""NSGA-II: generations of trials, bred from those that are not dominated and lie far from others.

Deb et al. 2002. With one objective it is a plain genetic algorithm. Where conditions differ
between parents, a child takes a param from any parent that has it.
"""

from typing import Annotated, Literal

from optuna.samplers import BaseSampler, NSGAIISampler
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
) -> BaseSampler:
    """Give the sampler; the first generation is random.

    `population` None: a fifth of the trials, 8 to 50. `mutation` None: one param of a child in
    the mean.
    """
    sampler = Nsga2(
        population_size=population_size(rules.spec, population),
        crossover=crossing(crossover),
        crossover_prob=crossover_share,
        mutation_prob=mutation,
        seed=seed,
    )
    sampler.known, sampler.seed = varying(rules.spec.space), seed
    return sampler


class Nsga2(Ancestry, NSGAIISampler):
    """Its name is part of what is stored with trials."""
