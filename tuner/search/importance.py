"""Which params made the difference between good trials and the rest."""

import warnings
from collections.abc import Iterable, Mapping
from typing import TypeVar

from optuna.trial import TrialState as OptunaState

from tuner.search.observation import Observation, Translator, by_number, open_study
from tuner.spec.study import StudySpec

T = TypeVar("T")

_FEWEST_TRIALS = 4  # with fewer the best tenth says nothing


def importance(spec: StudySpec, observations: Iterable[Observation]) -> dict[str, float]:
    """Share of each path in reaching the best tenth of completed trials, largest first.

    PED-ANOVA (Watanabe et al. 2023), in its form for conditional spaces; with several objectives
    the best tenth is the one nearest to the Pareto front. Shares sum to 1; empty if there are too
    few trials, or none of them differ.
    """
    # It imports scikit-learn where there is one: seconds that no server needs to start.
    from optuna.importance import PedAnovaImportanceEvaluator

    study, memory = open_study(spec)
    translator = Translator(spec)
    for seen in by_number(observations):
        trial = translator.trial(seen)
        if trial.state is OptunaState.COMPLETE:
            # One name per path, so that alternatives count as one param in several regimes.
            trial.params = _by_path(trial.params)
            trial.distributions = _by_path(trial.distributions)
            memory.put(trial)
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


def _by_path(named: Mapping[str, T]) -> dict[str, T]:
    return {name.partition("#")[0]: value for name, value in named.items()}


def _largest_first(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]
