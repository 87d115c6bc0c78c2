"""TPE fitted on the highest rung that has enough results, whether or not its trials went on.

As in BOHB (Falkner et al. 2018), values of one step only are compared: a trial that was stopped
early at a rung counts there like one that went on. Optuna's TPE takes completed trials for better
than any stopped one, however many of those there are. Trials that have not reached a rung yet count
as weak (constant liar), so that parallel draws spread out. Those left behind at lower rungs are not
looked at: on learning curves, counting them as weak was worse (benchmarks/README.md).
"""

import warnings
from collections.abc import Sequence
from typing import Annotated, Any

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pydantic import Field

from tuner.optuna_encoding import varying
from tuner.search.optuna_trials import at_step, excerpt
from tuner.search.rules import Rules
from tuner.search.samplers._parzen import ParzenSampler

_FEWEST = 6  # results of a rung to fit on, in spaces of few dimensions
_GOOD = 25  # results that Optuna counts as good, at most
_KEPT = 300  # results to fit on: the good ones and the latest others, so that draws stay quick


def build(
    rules: Rules,
    seed: int,
    *,
    results: Annotated[int, Field(ge=2)] | None = None,
    candidates: Annotated[int, Field(ge=1)] = 24,
) -> BaseSampler:
    """Give the sampler; draws are random until a rung has `results`: the dimensions and three."""
    space = varying(rules.spec.space)
    return RungTpeSampler(
        rules.learning_steps[::-1],
        None if rules.spec.space.is_conditional else space,
        seed=seed,
        results=results or max(len(space) + 3, _FEWEST),
        candidates=candidates,
    )


class RungTpeSampler(BaseSampler):
    """TPE on one rung; `steps` are the rungs below the full budget, the highest first."""

    def __init__(
        self,
        steps: Sequence[int],
        space: dict[str, BaseDistribution] | None,
        *,
        seed: int,
        results: int,
        candidates: int,
    ) -> None:
        self._steps, self._space, self._results = steps, space, results
        self._random = RandomSampler(seed=seed)
        self._view: Study | None = None
        with warnings.catch_warnings():
            # `group` is experimental in Optuna since 2.8; it is what carries conditional spaces.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self._tpe = ParzenSampler(
                seed=seed,
                n_startup_trials=1,
                n_ei_candidates=candidates,
                multivariate=True,
                group=space is None,
            )

    def reseed_rng(self) -> None:
        """Begin other random numbers."""
        self._tpe.reseed_rng()
        self._random.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Choose the rung, and see the study as if it ended there."""
        self._view = None
        trials = [other for other in study.get_trials(deepcopy=False) if other is not trial]
        minimize = study.directions[0] is StudyDirection.MINIMIZE
        if len(study.directions) > 1:
            done = [other for other in trials if other.state is TrialState.COMPLETE]
            if len(done) >= self._results:
                self._view = excerpt(study, trial, trials)[0]
            return
        for step in (None, *self._steps):
            there = [copied for other in trials if (copied := at_step(other, step)) is not None]
            if len(there) >= self._results:
                there = _kept(there, minimize=minimize)
                numbers = {other.number for other in there}
                weak = [
                    other for other in trials if other.number not in numbers and _is_weak(other)
                ]
                self._view = excerpt(study, trial, [*there, *weak])[0]
                return

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is drawn together: everything, or what the conditions allow."""
        if self._view is None:
            return {}
        if self._space is not None:
            return self._space
        return self._tpe.infer_relative_search_space(self._view, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values by the rung's densities; none before a rung has enough results."""
        if self._view is None or not search_space:
            return {}
        return self._tpe.sample_relative(self._view, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value of a param that no other trial had: random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def _is_weak(trial: FrozenTrial) -> bool:
    """Whether a trial that is not at the rung still says where not to go.

    It does while its worth is open, and when its params could not be trained.
    """
    is_open = trial.state in {TrialState.RUNNING, TrialState.WAITING}
    is_infeasible = trial.state is TrialState.PRUNED
    return (is_open or is_infeasible) and not trial.intermediate_values


def _kept(trials: list[FrozenTrial], *, minimize: bool) -> list[FrozenTrial]:
    """The best and the latest of many trials, by number."""
    if len(trials) <= _KEPT:
        return trials
    order = sorted(trials, key=lambda trial: trial.values[0] if minimize else -trial.values[0])
    best = {trial.number for trial in order[:_GOOD]}
    latest = {trial.number for trial in trials[-(_KEPT - _GOOD) :]}
    return [trial for trial in trials if trial.number in best or trial.number in latest]
