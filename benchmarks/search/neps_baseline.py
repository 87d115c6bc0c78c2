"""NePS at its ask-and-tell interface: ASHA and PriorBand, which pause trials and promote them.

The smallest fidelity is the user's to say there: it gets the smallest rung of ours. Its ASHA (0.17)
promotes a third of what is left of a rung each time, until fewer than three are left.
"""

import random
from collections.abc import Mapping
from typing import Any

import neps
import numpy as np
import torch

from benchmarks.search.flat import decode, dimensions, labels
from benchmarks.search.simulator import Job
from benchmarks.search.task import Task
from tuner.search.learning_curve import context_of
from tuner.search.rungs import ladder
from tuner.spec.messages import Action
from tuner.spec.space import AnyDimension, Choice, Float

FIDELITY = "epochs"


class NepsTuner:
    """One optimizer; each of its trials is a configuration at a fidelity."""

    def __init__(self, task: Task, optimizer: Any) -> None:
        self._asked = neps.AskAndTell(optimizer=optimizer)
        self._task, self._space = task, task.study({}).space
        self._last: dict[str, float] = {}
        self._lost: list[Any] = []

    def take(self, worker: int) -> Job | None:
        """Ask for a new configuration, or for an old one at a higher fidelity."""
        trial: Any = self._asked.ask()
        number, _, _ = trial.metadata.id.partition("_")
        before = self._asked.trials.get(trial.metadata.previous_trial_id or "")
        last_step = 0 if before is None else _fidelity(before.config)
        return Job(int(number), decode(self._space, trial.config), last_step, trial)

    def stop(self, job: Job, step: int) -> int:
        """The fidelity that was asked for."""
        trial: Any = job.lease
        return _fidelity(trial.config)

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Keep the value of the last epoch; pause when the fidelity is reached."""
        trial: Any = job.lease
        step = max(values)
        self._last[trial.metadata.id] = self._task.key(values[step])
        return Action.PAUSE if step == _fidelity(trial.config) else Action.CONTINUE

    def finish(self, job: Job, action: Action, step: int) -> None:
        """Tell the value at the fidelity."""
        trial: Any = job.lease
        self._asked.tell(trial, self._last[trial.metadata.id])

    def lose(self, job: Job) -> None:
        """Nobody knows yet."""
        self._lost.append(job.lease)

    def notice(self) -> None:
        """What was lost has failed."""
        while self._lost:
            self._asked.tell(self._lost.pop(), RuntimeError("the worker was lost"))


def build(name: str, task: Task, seed: int, options: Mapping[str, Any]) -> NepsTuner:
    """The baseline of that name; NePS draws from the global generators, which get the seed."""
    random.seed(seed)
    np.random.seed(seed)  # the generator that NePS draws from
    torch.manual_seed(seed)
    study = task.study({})
    known = {key: _parameter(found) for key, found in dimensions(study.space).items()}
    first = ladder(context_of(study), eta=3, min_step=None)[0]
    fidelity = neps.IntegerFidelity(first, task.epochs)
    space = type("Space", (neps.PipelineSpace,), {**known, FIDELITY: fidelity})()
    algorithm = {"neps-asha": neps.algorithms.asha, "neps-priorband": neps.algorithms.priorband}
    return NepsTuner(task, algorithm[name](space, **options))


def _parameter(dimension: AnyDimension) -> object:
    if isinstance(dimension, Choice):
        return neps.Categorical(labels(dimension))
    low, high = dimension.bounds
    if isinstance(dimension, Float):
        return neps.Float(low, high, log=dimension.log)
    if dimension.log:  # its logarithmic integers are powers of one number only: rounded here
        return neps.Float(float(low), float(high), log=True)
    return neps.Integer(int(low), int(high))


def _fidelity(config: Mapping[str, Any]) -> int:
    return int(config[FIDELITY])
