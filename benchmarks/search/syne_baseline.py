"""Syne Tune at its scheduler interface: ASHA, with random draws or a KDE model (as in BOHB)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.asha import AsynchronousSuccessiveHalving

from benchmarks.search.flat import decode
from benchmarks.search.simulator import Job
from benchmarks.search.syne_space import domains
from benchmarks.search.task import Task
from tuner.spec.messages import Action

METRIC, STEP = "value", "training_iteration"


class SyneTuner:
    """One scheduler; it stops trials and never pauses one, and forgets a lost one."""

    def __init__(self, task: Task, scheduler: AsynchronousSuccessiveHalving) -> None:
        self._scheduler, self._space, self._epochs = scheduler, task.study({}).space, task.epochs
        self._given = 0
        self._lost: list[Trial] = []

    def take(self, worker: int) -> Job | None:
        """Ask for a new trial."""
        config = self._scheduler.suggest().config
        trial = Trial(self._given, config, datetime.now(UTC))
        self._given += 1
        self._scheduler.on_trial_add(trial)
        return Job(trial.trial_id, decode(self._space, config), lease=trial)

    def stop(self, job: Job, step: int) -> int:
        """Every epoch."""
        return step + 1

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Report each epoch, and obey; `finish` reports the last one."""
        for step, value in values.items():
            if step < self._epochs:
                decision = self._scheduler.on_trial_result(job.lease, {METRIC: value, STEP: step})
                if decision != SchedulerDecision.CONTINUE:
                    return Action.PRUNE
            else:
                self._scheduler.on_trial_complete(job.lease, {METRIC: value, STEP: step})
        return Action.CONTINUE

    def finish(self, job: Job, action: Action, step: int) -> None:
        """Drop a trial that was stopped; a complete one was reported with its last value."""
        if action is not Action.CONTINUE:
            self._scheduler.on_trial_remove(job.lease)

    def lose(self, job: Job) -> None:
        """Nobody knows yet."""
        assert isinstance(job.lease, Trial)
        self._lost.append(job.lease)

    def notice(self) -> None:
        """What was lost has failed."""
        while self._lost:
            self._scheduler.on_trial_error(self._lost.pop())


SEARCHERS = {"syne-asha": "random_search", "syne-bohb": "kde"}


def build(name: str, task: Task, seed: int, options: Mapping[str, Any]) -> SyneTuner:
    """The baseline of that name; options go to the scheduler, the rest are its defaults."""
    scheduler = AsynchronousSuccessiveHalving(
        config_space=domains(task.study({}).space),
        metric=METRIC,
        do_minimize=task.direction == "minimize",
        searcher=SEARCHERS[name],
        max_t=task.epochs,
        random_seed=seed,
        **options,
    )
    return SyneTuner(task, scheduler)
