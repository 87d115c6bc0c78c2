"""MOBSTER of Syne Tune: ASHA whose draws come from a Gaussian process over params and rungs.

Klein et al. 2020. Version 0.13 was the last that had it; `syne_baseline` speaks to later ones.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.baselines import MOBSTER
from syne_tune.optimizer.scheduler import SchedulerDecision

from benchmarks.search.flat import decode
from benchmarks.search.simulator import Job
from benchmarks.search.syne_space import domains
from benchmarks.search.task import Task
from tuner.spec.messages import Action

METRIC, STEP = "value", "epoch"


class MobsterTuner:
    """One scheduler, told every epoch; with `type=promotion` it pauses trials and resumes them."""

    def __init__(self, task: Task, scheduler: MOBSTER) -> None:
        self._scheduler, self._space, self._epochs = scheduler, task.study({}).space, task.epochs
        self._trials: list[Trial] = []
        self._steps: dict[int, int] = {}
        self._lost: list[Trial] = []

    def take(self, worker: int) -> Job | None:
        """Ask for a new trial, or for a paused one to go on with."""
        suggested = self._scheduler.suggest(trial_id=len(self._trials))
        if suggested is None:
            return None
        if suggested.spawn_new_trial_id:
            trial = Trial(len(self._trials), suggested.config, datetime.now(UTC))
            self._trials.append(trial)
            self._scheduler.on_trial_add(trial)
        else:
            trial = self._trials[suggested.checkpoint_trial_id]
        number = int(trial.trial_id)
        params = decode(self._space, trial.config)
        return Job(number, params, self._steps.get(number, 0), trial)

    def stop(self, job: Job, step: int) -> int:
        """Every epoch."""
        return step + 1

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Report each epoch, and obey; after the last one there is nothing to stop."""
        for step, value in values.items():
            decision = self._scheduler.on_trial_result(job.lease, {METRIC: value, STEP: step})
            if decision != SchedulerDecision.CONTINUE:
                self._scheduler.on_trial_remove(job.lease)
                self._steps[job.trial] = step
                if step < self._epochs:
                    is_paused = decision == SchedulerDecision.PAUSE
                    return Action.PAUSE if is_paused else Action.PRUNE
        return Action.CONTINUE

    def finish(self, job: Job, action: Action, step: int) -> None:
        """The scheduler knows."""

    def lose(self, job: Job) -> None:
        """Nobody knows yet."""
        assert isinstance(job.lease, Trial)
        self._lost.append(job.lease)

    def notice(self) -> None:
        """What was lost has failed."""
        while self._lost:
            self._scheduler.on_trial_error(self._lost.pop())


def build(name: str, task: Task, seed: int, options: Mapping[str, Any]) -> MobsterTuner:
    """The scheduler with its defaults, except for `options`."""
    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    scheduler = MOBSTER(
        domains(task.study({}).space),
        metric=METRIC,
        resource_attr=STEP,
        mode="min" if task.direction == "minimize" else "max",
        max_t=task.epochs,
        random_seed=seed,
        search_options={"debug_log": False},
        **options,
    )
    return MobsterTuner(task, scheduler)
