"""Our TPE draws what Optuna's draws; it only remembers the params that it has translated."""

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from tuner.search.in_memory_storage import InMemoryStorage, frozen
from tuner.search.samplers._parzen import ParzenSampler

SPACE: dict[str, optuna.distributions.BaseDistribution] = {
    "lr": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
    "rotate": optuna.distributions.IntDistribution(0, 30, step=5),
    "decoder": optuna.distributions.CategoricalDistribution(["ocr", "fcn", "deeplabv3"]),
}
STATES = (TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)


def _study(sampler: optuna.samplers.BaseSampler) -> tuple[optuna.Study, InMemoryStorage]:
    """Forty trials of which some are running, and some lack a param."""
    storage = InMemoryStorage()
    storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "streets")
    for number in range(40):
        params: dict[str, Any] = {
            "lr": 1e-4 * 1.15**number,
            "rotate": 5 * (number % 7),
            "decoder": ("ocr", "fcn", "deeplabv3")[number % 3],
        }
        if number % 11 == 5:
            del params["rotate"]
        state = STATES[number % len(STATES)]
        trial = frozen(
            number,
            state,
            params=params,
            distributions={name: SPACE[name] for name in params},
            values=[number % 13 / 13] if state is TrialState.COMPLETE else None,
            steps={1: number % 5 / 5},
        )
        storage.put(trial)
    storage.next_number = 40
    return optuna.Study("streets", storage, sampler=sampler), storage


@pytest.mark.parametrize("multivariate", [True, False])
@pytest.mark.parametrize("liar", [True, False])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_draws_are_those_of_optuna(multivariate: bool, liar: bool) -> None:
    """Of the same trials and seed both make the same params, now and after more have come."""
    drawn = []
    for kind in (TPESampler, ParzenSampler):
        sampler = kind(seed=7, n_startup_trials=2, multivariate=multivariate, constant_liar=liar)
        study, storage = _study(sampler)
        found = []
        for number in range(40, 46):
            storage.next_number = number
            found.append(study.ask(SPACE).params)
            storage.withdraw()
            ended: dict[str, Any] = {"params": found[-1], "distributions": SPACE, "values": [0.9]}
            storage.put(frozen(number, TrialState.COMPLETE, **ended))
        drawn.append(found)

    for ours, theirs in zip(drawn[1], drawn[0], strict=True):
        assert ours == theirs


WORDS = ("ocr", "fcn", "deeplabv3")
PARAMS = st.fixed_dictionaries(
    {"lr": st.floats(1e-4, 1e-1)},
    optional={"rotate": st.integers(0, 6).map(lambda n: 5 * n), "decoder": st.sampled_from(WORDS)},
)
SEEN = [state for state in TrialState if state is not TrialState.WAITING]
WORTH = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # so that many are equal
TRIALS = st.lists(st.tuples(PARAMS, WORTH, st.integers(0, 3), st.sampled_from(SEEN)))
DIRECTIONS = st.sampled_from(
    [optuna.study.StudyDirection.MAXIMIZE] * 2 + [optuna.study.StudyDirection.MINIMIZE]
)


def _put(storage: InMemoryStorage, number: int, made_up: Any) -> None:
    """A trial as the translator would make it of an observation."""
    params, worth, reports, state = made_up
    trial = frozen(
        number,
        state,
        params=dict(params),
        distributions={name: SPACE[name] for name in params},
        values=[worth] if state is TrialState.COMPLETE else None,
        steps=dict.fromkeys(range(reports), worth),
    )
    if reports == 3:
        trial.set_constraint("memory", worth - 0.25)
    storage.put(trial)


def _level(sampler: TPESampler) -> None:
    """Let the first of two candidates win that differ in the last digit of their score only."""
    exact = sampler._compute_acquisition_func

    def rounded(*given: Any) -> Any:
        return np.round(exact(*given), 9)

    vars(sampler)["_compute_acquisition_func"] = rounded


@settings(max_examples=40, deadline=None)
@given(trials=TRIALS, later=TRIALS, direction=DIRECTIONS, liar=st.booleans())
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_any_history_gives_the_draws_of_optuna(
    trials: list[Any], later: list[Any], direction: Any, liar: bool
) -> None:
    """Whatever became of the trials, and whichever of them changed between two draws."""
    drawn = []
    for kind in (TPESampler, ParzenSampler):
        storage = InMemoryStorage()
        storage.create_new_study([direction], "streets")
        sampler = kind(
            seed=3, n_startup_trials=0, multivariate=True, constant_liar=liar, group=True
        )
        _level(sampler)
        study = optuna.Study("streets", storage, sampler=sampler)
        found = []
        for seen in (trials, later):  # the later ones take the places of the first
            for number, made_up in enumerate(seen):
                _put(storage, number, made_up)
            storage.next_number = max(len(trials), len(later))
            found.append(study.ask(SPACE).params)
            storage.withdraw()
        drawn.append(found)

    for ours, theirs in zip(drawn[1], drawn[0], strict=True):
        assert ours == theirs
