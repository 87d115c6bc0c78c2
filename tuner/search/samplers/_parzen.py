"""Optuna's TPE, without translating and sorting every trial at every draw."""

from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import default_gamma
from optuna.study import Study
from optuna.trial import FrozenTrial

from tuner.search.curve_table import Floats
from tuner.search.in_memory_storage import InMemoryStorage
from tuner.search.samplers._densities import ParzenEstimator


class ParzenSampler(TPESampler):
    """The same draws as Optuna's, an order of magnitude cheaper at a thousand trials."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parzen_estimator_cls = ParzenEstimator

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Params that are likely among the best trials and not among the others (Bergstra 2011)."""
        storage = study._storage
        if len(study.directions) > 1 or not isinstance(storage, InMemoryStorage):
            sampled: dict[str, Any] = super()._sample(study, trial, search_space)
            return sampled
        table = storage.table(search_space)
        is_other = table.numbers != trial.number
        ended = np.flatnonzero(table.is_ended & is_other)
        best = table.ranked(ended)[: (self._gamma or default_gamma)(len(ended))]
        is_weak = is_other & (table.is_ended | (table.is_running & self._constant_liar))
        is_weak[best] = False
        good = self._estimator(table.params[np.sort(best)], search_space)
        weak = self._estimator(table.params[is_weak], search_space)
        candidates = good.sample(self._rng.rng, self._n_ei_candidates)
        odds = self._compute_acquisition_func(candidates, good, weak)
        chosen = TPESampler._compare(candidates, odds)
        return {
            name: distribution.to_external_repr(chosen[name])
            for name, distribution in search_space.items()
        }

    def _estimator(self, rows: Floats, space: dict[str, BaseDistribution]) -> ParzenEstimator:
        """The density of trials, those that lack a param left out."""
        return ParzenEstimator(_columns(rows, space), space, self._parzen_estimator_parameters)

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, Floats]:
        """Params of the trials that have all of them, as numbers, by name."""
        storage = study._storage
        if not isinstance(storage, InMemoryStorage):
            found: dict[str, Floats] = super()._get_internal_repr(trials, search_space, study)
            return found
        table = storage.table(search_space)
        is_asked = np.isin(table.numbers, [trial.number for trial in trials])
        return _columns(table.params[is_asked], search_space)


def _columns(rows: Floats, space: dict[str, BaseDistribution]) -> dict[str, Floats]:
    """The rows that are whole, by param."""
    return dict(zip(space, rows[~np.isnan(rows).any(axis=1)].T, strict=True))
