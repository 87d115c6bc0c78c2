"""What the genetic samplers share: a known space, conditions included, and parents on record."""

import random
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseGASampler
from optuna.samplers.nsgaii import (
    BaseCrossover,
    BLXAlphaCrossover,
    SBXCrossover,
    UniformCrossover,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.search.samplers._known import KnownSpace
from tuner.search.units import from_unit
from tuner.spec.study import StudySpec

_CROSSOVERS: Mapping[str, type[BaseCrossover]] = {
    "uniform": UniformCrossover,
    "blx": BLXAlphaCrossover,
    "sbx": SBXCrossover,
}


class Ancestry(KnownSpace, BaseGASampler):
    """Goes before a genetic sampler of Optuna among the bases.

    Optuna notes the parents of a generation with the study, where another server process would
    not find them; here the first trial of the generation carries them.
    """

    seed: int

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Completed trials of the generation; those that were not bred are founders."""
        key = self._get_generation_key()
        return [
            trial
            for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if trial.system_attrs.get(key, 0) == generation
        ]

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Parents of the generation as they are on record, or chosen now; every gene is there."""
        if generation == 0:
            return []
        trials = study.get_trials(deepcopy=False)
        chosen = self._on_record(trials, generation)
        if chosen is None:
            return self.select_parent(study, generation)
        return whole([trials[number] for number in chosen], self.known, self.seed)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A child of the generation; the first one puts its parents on record."""
        generation = self.get_trial_generation(study, trial)
        if generation and self._on_record(study.get_trials(deepcopy=False), generation) is None:
            chosen = [parent.number for parent in self.select_parent(study, generation)]
            study._storage.set_trial_system_attr(trial._trial_id, self._key(generation), chosen)
        return super().sample_relative(  # type: ignore[safe-super]  # Optuna's sampler is next
            study, trial, search_space
        )

    def _key(self, generation: int) -> str:
        return f"{self._get_parent_cache_key_prefix()}{generation}"

    def _on_record(self, trials: Sequence[FrozenTrial], generation: int) -> list[int] | None:
        key = self._key(generation)
        return next((t.system_attrs[key] for t in trials if key in t.system_attrs), None)


def population_size(spec: StudySpec, wanted: int | None) -> int:
    """The size asked for; else a fifth of the trials, so that a few generations come about."""
    return wanted or min(50, max(8, spec.search.trials // 5))


def crossover(name: str) -> BaseCrossover:
    """The crossover of that name; choices are always crossed uniformly."""
    return _CROSSOVERS[name]()


def whole(
    parents: Sequence[FrozenTrial], known: Mapping[str, BaseDistribution], seed: int
) -> list[FrozenTrial]:
    """The parents, each with a value for every param.

    A param that was not active in one parent comes from another that has it, so that a child
    which activates it inherits what has proven itself; chance only where none has it.
    """
    pools = {name: [p.params[name] for p in parents if name in p.params] for name in known}
    filled = []
    for parent in parents:
        rng = random.Random(f"{seed}:{parent.number}")
        lacking = {
            name: rng.choice(pools[name] or [from_unit(distribution, rng.random())])
            for name, distribution in known.items()
            if name not in parent.params
        }
        twin = copy(parent)
        twin.params = {**parent.params, **lacking}
        filled.append(twin)
    return filled
