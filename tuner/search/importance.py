"""Which params made the difference between good trials and the rest."""

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.optuna_encoding import distributions
from tuner.search.observation import Observation, Translator, by_number, open_study
from tuner.search.optuna_trials import filled, lies_inside
from tuner.search.units import to_unit
from tuner.spec.study import StudySpec

T = TypeVar("T")

_FEWEST_TRIALS = 4  # with fewer the best tenth says nothing
_TREES, _DEPTH = 32, 8  # twice as many and without a limit: the same shares in six times as long
_UNIT = FloatDistribution(0, 1)


def importance(spec: StudySpec, observations: Iterable[Observation]) -> dict[str, float]:
    """Share of each path in reaching the best tenth of completed trials, largest first.

    PED-ANOVA (Watanabe et al. 2023), in its form for conditional spaces; with several objectives
    the best tenth is the one nearest to the Pareto front. Shares sum to 1; empty if there are too
    few trials, or none of them differ.
    """
    # It imports scikit-learn where there is one: seconds that no server needs to start.
    from optuna.importance import PedAnovaImportanceEvaluator

    study, storage = open_study(spec)
    translator = Translator(spec)
    for seen in by_number(observations):
        trial = translator.trial(seen)
        if trial.state is OptunaState.COMPLETE:
            # One name per path, so that alternatives count as one param in several regimes.
            trial.params = _by_path(trial.params)
            trial.distributions = _by_path(trial.distributions)
            storage.put(trial)
    complete = study.get_trials(deepcopy=False, states=(OptunaState.COMPLETE,))
    if len(complete) < _FEWEST_TRIALS or not any(trial.params for trial in complete):
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about few trials per regime, which charts show anyway
        found = PedAnovaImportanceEvaluator().evaluate(study)
    total = sum(found.values())
    if total <= 0:
        return {}
    return {path: share / total for path, share in sorted(found.items(), key=_largest_first)}


class Interval(NamedTuple):
    """Of a share over resampled trials: percentiles 5 and 95, and how often it is the largest."""

    low: float
    high: float
    leading: float


def intervals(
    spec: StudySpec, observations: Iterable[Observation], *, resamples: int = 50
) -> dict[str, Interval]:
    """How far the shares of `importance` may be trusted, by a bootstrap over trials.

    Efron 1979: as many trials are drawn with replacement, and looked at as if they were the study.
    The draws depend on the number of trials alone.
    """
    seen = by_number(observations)
    if not seen:
        return {}
    draws = np.random.default_rng(len(seen))
    found: dict[str, list[float]] = {}
    leading: Counter[str] = Counter()
    for count in range(resamples):
        chosen = draws.integers(0, len(seen), len(seen))
        # Each is a trial of its own, or it would count once.
        again = [replace(seen[index], number=number) for number, index in enumerate(chosen)]
        shares = importance(spec, again)
        leading.update([*shares][:1])
        for path in {*found, *shares}:
            found.setdefault(path, [0.0] * count).append(shares.get(path, 0.0))
    return {
        path: Interval(
            float(np.percentile(shares, 5)),
            float(np.percentile(shares, 95)),
            leading[path] / resamples,
        )
        for path, shares in found.items()
    }


def fanova(spec: StudySpec, observations: Iterable[Observation]) -> dict[str, float]:
    """Share of each path in the variance of the first objective, by itself, largest first.

    fANOVA (Hutter et al. 2014): a forest predicts the objective from the params, each of them
    evenly spread over its range, on the scale on which it is searched. A param that a condition
    switched off counts with the middle of its range; alternatives of a path are added up. What is
    missing to 1 is made by several params together. Empty if there are too few trials, or all are
    worth the same.
    """
    from optuna.importance import FanovaImportanceEvaluator  # needs scikit-learn: seconds to import

    study, storage = open_study(spec)
    translator = Translator(spec)
    known = {n: d for n, d in distributions(spec.space).items() if not d.single()}
    for seen in by_number(observations):
        trial = translator.trial(seen)
        if trial.state is OptunaState.COMPLETE and lies_inside(spec.space, trial):
            storage.put(_in_units(trial, known))
    complete = study.get_trials(deepcopy=False, states=(OptunaState.COMPLETE,))
    if len(complete) < _FEWEST_TRIALS or not known:
        return {}
    evaluator = FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=0)
    try:
        found = evaluator.evaluate(study, [*known], target=lambda trial: trial.values[0])
    except RuntimeError:  # no tree found any variance
        return {}
    shares: dict[str, float] = {}
    for name, share in found.items():
        path = name.partition("#")[0]
        shares[path] = shares.get(path, 0.0) + float(share)
    return dict(sorted(shares.items(), key=_largest_first))


def _in_units(trial: FrozenTrial, known: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """The trial with a value for every name, numbers as shares of their range."""
    twin = filled(trial, known)
    for name, ranged in known.items():
        if not isinstance(ranged, CategoricalDistribution):
            twin.params[name] = to_unit(ranged, twin.params[name])
            twin.distributions[name] = _UNIT
    return twin


def _by_path(named: Mapping[str, T]) -> dict[str, T]:
    return {name.partition("#")[0]: value for name, value in named.items()}


def _largest_first(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]
