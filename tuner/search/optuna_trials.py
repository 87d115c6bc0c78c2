"""Optuna's trials as several samplers and the importance want to see them: at a step, filled up."""

from collections.abc import Container, Iterable, Mapping
from copy import copy
from math import isfinite
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from tuner.optuna_encoding import decode
from tuner.search.in_memory_storage import InMemoryStorage
from tuner.search.units import from_unit
from tuner.spec.space import Params, SearchSpace


def at_step(trial: FrozenTrial, step: int | None) -> FrozenTrial | None:
    """The trial as if it had completed at the step (None: in the end), if it was there."""
    if step is None:
        return trial if trial.state is TrialState.COMPLETE else None
    value = trial.intermediate_values.get(step)
    if value is None or not isfinite(value) or trial.state is TrialState.FAIL:
        return None
    twin = copy(trial)
    twin.state, twin.values = TrialState.COMPLETE, [value]
    return twin


def is_whole(space: SearchSpace, params: Params) -> bool:
    """Whether the params have a value for all that is active in the space."""
    return all(path in params or space.active(path, params) is None for path in space.root)


def lies_inside(space: SearchSpace, trial: FrozenTrial) -> bool:
    """Whether all that the trial lacks was switched off, and not outside of a range."""
    return is_whole(space, decode(space, trial.params))


def filled(trial: FrozenTrial, known: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """The trial with the middle of the range for what was switched off."""
    twin = copy(trial)
    twin.params = {
        name: trial.params.get(name, from_unit(distribution, 0.5))
        for name, distribution in known.items()
    }
    twin.distributions = dict(known)
    return twin


def excerpt(
    study: Study, trial: FrozenTrial, kept: Iterable[FrozenTrial]
) -> tuple[Study, "Excerpt"]:
    """The study as if it had only these trials beside the one that is being drawn."""
    storage = Excerpt(trial, kept)
    storage.create_new_study(study.directions, study.study_name)
    return Study(study.study_name, storage), storage


class Excerpt(InMemoryStorage):
    """These trials and no others; `noted` is what a sampler notes with the one that is drawn."""

    def __init__(self, trial: FrozenTrial, kept: Iterable[FrozenTrial]) -> None:
        super().__init__()
        self._drawn = trial
        self._shown = sorted([*kept, trial], key=lambda one: one.number)
        self.noted: dict[str, Any] = {}

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial that is being drawn."""
        return self._drawn

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note what the sampler wants to find again; the study itself does not change."""
        self.noted[key] = value

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The trials, by number."""
        return [trial for trial in self._shown if states is None or trial.state in states]
