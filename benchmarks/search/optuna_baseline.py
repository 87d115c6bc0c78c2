"""Optuna as its users run it: samplers and pruners with their own defaults, asked every epoch."""

import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial, TrialState

from benchmarks.search.simulator import Job
from benchmarks.search.task import Task
from tuner.optuna_encoding import distribution, from_optuna, optuna_name
from tuner.spec.messages import Action
from tuner.spec.space import Params, SearchSpace


class OptunaTuner:
    """One study in memory; a lost trial has failed, as Optuna's heartbeat would have it."""

    def __init__(
        self,
        task: Task,
        sampler: optuna.samplers.BaseSampler | None,
        pruner: optuna.pruners.BasePruner | None,
    ) -> None:
        """None for a sampler or pruner leaves the choice to Optuna."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction=task.direction, sampler=sampler, pruner=pruner)
        self._space = task.study({}).space
        self._epochs = task.epochs
        self._last: dict[int, float] = {}
        self._lost: list[Trial] = []

    def take(self, worker: int) -> Job | None:
        """Ask for a new trial."""
        trial = self._study.ask()
        return Job(trial.number, _suggest(trial, self._space), lease=trial)

    def stop(self, job: Job, step: int) -> int:
        """Every epoch, if there is a pruner to ask."""
        is_pruned = not isinstance(self._study.pruner, optuna.pruners.NopPruner)
        return step + 1 if is_pruned else self._epochs

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Report each epoch, and ask whether to prune."""
        trial = _trial(job)
        for step, value in values.items():
            trial.report(value, step)
            self._last[job.trial] = value
        return Action.PRUNE if trial.should_prune() else Action.CONTINUE

    def finish(self, job: Job, action: Action, step: int) -> None:
        """Tell the last value; Optuna takes it from the reports of a pruned trial."""
        trial = _trial(job)
        if action is Action.PRUNE:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, self._last[trial.number])

    def lose(self, job: Job) -> None:
        """Nobody knows yet."""
        self._lost.append(_trial(job))

    def notice(self) -> None:
        """What has no heartbeat has failed."""
        while self._lost:
            self._study.tell(self._lost.pop(), state=TrialState.FAIL)


SAMPLERS = {
    "optuna": None,  # what `create_study()` takes: TPE, and MedianPruner
    "optuna-tpe": optuna.samplers.TPESampler,
    "optuna-hyperband": optuna.samplers.TPESampler,
    "optuna-gp": optuna.samplers.GPSampler,
    "random": optuna.samplers.RandomSampler,
}
PRUNERS = {
    "optuna": None,
    "optuna-tpe": optuna.pruners.NopPruner,
    "optuna-hyperband": optuna.pruners.HyperbandPruner,
    "optuna-gp": optuna.pruners.NopPruner,
    "random": optuna.pruners.NopPruner,
}


def build(name: str, task: Task, seed: int, options: Mapping[str, Any]) -> OptunaTuner:
    """The baseline of that name, its draws fixed by the seed; options go to the pruner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        make_sampler = SAMPLERS[name] or optuna.samplers.TPESampler  # the default, with a seed
        make_pruner = PRUNERS[name]
        pruner = None if make_pruner is None else make_pruner(**options)
        return OptunaTuner(task, make_sampler(seed=seed), pruner)


def _suggest(trial: Trial, space: SearchSpace) -> Params:
    params: Params = {}
    for path in space.ordered:
        active = space.active(path, params)
        if active is not None:
            index, dimension = active
            name = optuna_name(space, path, index)
            params[path] = from_optuna(dimension, _draw(trial, name, distribution(dimension)))
    return params


def _draw(trial: Trial, name: str, known: BaseDistribution) -> object:
    if isinstance(known, CategoricalDistribution):
        return trial.suggest_categorical(name, known.choices)
    if isinstance(known, IntDistribution):
        return trial.suggest_int(name, known.low, known.high, step=known.step, log=known.log)
    assert isinstance(known, FloatDistribution)
    return trial.suggest_float(name, known.low, known.high, step=known.step, log=known.log)


def _trial(job: Job) -> Trial:
    assert isinstance(job.lease, Trial)
    return job.lease
