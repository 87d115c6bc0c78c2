"""Ray Tune's ASHA at its decision interface: no cluster is started, draws are random."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import ASHAScheduler

from benchmarks.search.simulator import Job
from benchmarks.search.task import Task, params_at
from tuner.spec.messages import Action

METRIC, STEP = "value", "training_iteration"


class RayTuner:
    """One scheduler; it stops trials and never pauses one."""

    def __init__(self, task: Task, scheduler: Any, seed: int) -> None:
        self._scheduler, self._epochs, self._study = scheduler, task.epochs, task.study({})
        self._rng = np.random.default_rng(seed)
        self._given = 0
        self._lost: list[Any] = []

    def take(self, worker: int) -> Job | None:
        """Draw params evenly over the space."""
        trial = SimpleNamespace(trial_id=str(self._given))  # all that the scheduler asks of one
        self._given += 1
        self._scheduler.on_trial_add(None, trial)
        params = params_at(self._study, self._rng.random(len(self._study.space.root)))
        return Job(self._given - 1, params, lease=trial)

    def stop(self, job: Job, step: int) -> int:
        """Every epoch."""
        return step + 1

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Report each epoch but the last, and obey."""
        for step, value in values.items():
            result = {METRIC: value, STEP: step}
            if step == self._epochs:
                self._scheduler.on_trial_complete(None, job.lease, result)
            elif self._scheduler.on_trial_result(None, job.lease, result) == ASHAScheduler.STOP:
                return Action.PRUNE
        return Action.CONTINUE

    def finish(self, job: Job, action: Action, step: int) -> None:
        """Drop a trial that was stopped; a complete one was reported with its last value."""
        if action is not Action.CONTINUE:
            self._scheduler.on_trial_remove(None, job.lease)

    def lose(self, job: Job) -> None:
        """Nobody knows yet."""
        self._lost.append(job.lease)

    def notice(self) -> None:
        """What was lost is dropped."""
        while self._lost:
            self._scheduler.on_trial_remove(None, self._lost.pop())


def build(name: str, task: Task, seed: int, options: Mapping[str, Any]) -> RayTuner:
    """The scheduler with its defaults, except for the length of a training and `options`."""
    mode = "max" if task.direction == "maximize" else "min"
    scheduler = ASHAScheduler(STEP, METRIC, mode, max_t=task.epochs, **options)
    return RayTuner(task, scheduler, seed)
