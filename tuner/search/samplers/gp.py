"""Gaussian process with expected improvement: the most from few results, at a second per draw.

Optuna's implementation (Matérn 5/2, log EI after Ament et al. 2023; hypervolume with several
objectives), fitted on the highest rung that has enough results. Of a long history it gets the best
and the latest. A param that a condition switched off counts with the middle of its range.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from tuner.optuna_encoding import varying
from tuner.search.optuna_trials import at_step, excerpt, filled, lies_inside
from tuner.search.rules import Rules
from tuner.search.samplers._known import PointSampler

NEEDS = ("scipy", "torch")
AHEAD = True  # slow: drawn outside of the study's lock, and ahead of need


def build(
    rules: Rules,
    seed: int,
    *,
    startup: Annotated[int, Field(ge=0)] = 10,
    history: Annotated[int, Field(ge=20, le=1000)] = 200,
) -> BaseSampler:
    """Give the sampler; the first `startup` results come from random draws.

    Of more than `history` results, half of those kept are the best, half the latest.
    """
    return _Process(rules, seed, startup, history)


class _Process(PointSampler):
    def __init__(self, rules: Rules, seed: int, startup: int, history: int) -> None:
        spec = rules.spec
        self._space, self._objectives = spec.space, spec.objectives
        self._startup, self._history = startup, history
        has_rungs = len(spec.objectives) == 1 and not spec.searches_epochs
        steps = rules.judged_steps if has_rungs else None
        self._steps = sorted(steps or (), reverse=True)
        self.known = varying(spec.space)
        self._process = GPSampler(
            seed=seed, n_startup_trials=startup, warn_independent_sampling=False
        )
        self.otherwise = self._process  # random, before there are results

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The point of the greatest expected improvement over what is kept of the history."""
        names = search_space.keys()
        trials = [
            other
            for other in study.get_trials(deepcopy=False)
            if other.number != trial.number
            and (names <= other.params.keys() or lies_inside(self._space, other))
        ]
        kept = [filled(other, search_space) for other in self._level(trials)]
        if not kept:
            return {}
        view, _ = excerpt(study, trial, kept)
        return self._process.sample_relative(view, trial, dict(search_space))

    def _level(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Results at the highest step that has enough, and what runs; empty while none has."""
        for step in (None, *self._steps):
            there = [at for trial in trials if (at := at_step(trial, step)) is not None]
            if len(there) >= max(1, self._startup):
                known = {trial.number for trial in there}
                running = [trial for trial in trials if trial.state is TrialState.RUNNING]
                return self._kept(there) + [t for t in running if t.number not in known]
        return []

    def _kept(self, results: list[FrozenTrial]) -> list[FrozenTrial]:
        if len(results) <= self._history:
            return results
        half = self._history // 2
        latest, earlier = results[-half:], results[:-half]
        return sorted(earlier, key=self._worth)[: self._history - half] + latest

    def _worth(self, trial: FrozenTrial) -> tuple[float, float, int]:
        """Less is better: what constraints are broken by, then the first objective."""
        broken = sum(max(0.0, violation) for violation in trial.constraints.values())
        return broken, self._objectives[0].key(trial.values[0]), trial.number
