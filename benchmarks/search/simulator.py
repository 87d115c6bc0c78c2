"""Any number of workers in simulated time: they train by looking curves up, a tuner decides.

Each worker is a generator that gives the seconds until it wants to go on; a heap orders them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal, NamedTuple, Protocol

import numpy as np

from benchmarks.search.noise import deviates
from benchmarks.search.task import Curve, Task
from tuner.spec.messages import Action
from tuner.spec.space import Params

TRAINING_SECONDS = 3_600.0  # what a whole training takes on average
LEASE_SECONDS = 60.0  # after its last heartbeat a dead worker is found out
POLL_SECONDS = 10.0
TOLERANCE = 1e-6  # seconds: sums of epochs are not exact


class Job(NamedTuple):
    """Training of one trial from the step after `last_step` on; `lease` is the tuner's own."""

    trial: int
    params: Params
    last_step: int = 0
    lease: object = None


class Tuner(Protocol):
    """What hands out trials and judges them: our service, or a baseline."""

    def take(self, worker: int) -> Job | None:
        """A trial for a free worker; None if there is none now."""

    def stop(self, job: Job, step: int) -> int:
        """The next step after this one at which the tuner wants to decide."""

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Take the values of the next steps, and say what to do."""

    def finish(self, job: Job, action: Action, step: int) -> None:
        """The worker obeyed, or the training is complete (`continue`)."""

    def lose(self, job: Job) -> None:
        """The worker dies; nobody knows yet."""

    def notice(self) -> None:
        """Look for dead workers."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One simulation: `budget` in whole trainings, `lag` in shares of one, `loss` in shares
    of leases, `noise` of reported values in shares of the spread of final ones."""

    workers: int = 8
    budget: float = 40.0
    lag: float = 0.0
    loss: float = 0.0
    cost: Literal["epochs", "seconds"] = "epochs"
    seed: int = 0
    noise: float = 0.0

    @property
    def horizon(self) -> float:
        """Simulated seconds until the budget is used up by all workers, busy or not."""
        return self.budget * TRAINING_SECONDS / self.workers


@dataclass(slots=True)
class Clock:
    """Simulated seconds since the start."""

    now: float = 0.0


class Seen(NamedTuple):
    """One epoch that ended at that time, what its training would end with, and what it reported.

    Values are the true ones; noise is in the report alone.
    """

    time: float
    value: float
    final: float
    reported: float


@dataclass(slots=True)
class Record:
    """What happened in a simulation."""

    seen: list[Seen] = field(default_factory=list)
    completed: list[Seen] = field(default_factory=list)  # last epochs of whole trainings
    trained: float = 0.0  # seconds of epochs that ended in time
    leases: int = 0
    losses: int = 0
    trials: set[int] = field(default_factory=set)
    idle: float = 0.0  # seconds in which a worker had nothing to do


class Simulation:
    """Runs one tuner on one task until the budget is used up."""

    def __init__(
        self,
        task: Task,
        tuner: Tuner,
        setting: Setup,
        *,
        clock: Clock,
        seconds: float,
        spread: float = 1.0,
    ) -> None:
        """`seconds` is what the task says of a whole training on average, `spread` is that of
        final values, in which noise is measured."""
        self._task, self._tuner, self._setup, self._clock = task, tuner, setting, clock
        self._scale, self._noise = TRAINING_SECONDS / seconds, setting.noise * spread
        self._rng = np.random.default_rng([setting.seed, 77])
        self._curves: dict[int, Curve] = {}
        self._reports: dict[int, tuple[float, ...]] = {}
        self.record = Record()

    def run(self) -> Record:
        """Let the workers work, each at its time, equal times in order of arrival."""
        heap: list[tuple[float, int, Iterator[float]]] = []
        for order in range(self._setup.workers):
            heappush(heap, (0.0, order, self._work(order)))
        while heap:
            time, order, worker = heappop(heap)
            if time > self._setup.horizon + TOLERANCE:
                break
            self._clock.now = time
            wait = next(worker, None)
            if wait is not None:
                heappush(heap, (time + wait, order + self._setup.workers, worker))
        self._clock.now = self._setup.horizon
        return self.record

    def _work(self, worker: int) -> Iterator[float]:
        while self._clock.now < self._setup.horizon - TOLERANCE:
            job = self._tuner.take(worker)
            if job is None:
                self.record.idle += POLL_SECONDS
                yield POLL_SECONDS
                continue
            self.record.leases += 1
            self.record.trials.add(job.trial)
            yield self._setup.lag * TRAINING_SECONDS
            yield from self._train(job)

    def _train(self, job: Job) -> Iterator[float]:
        """Train until the tuner stops it, the training is complete, or the worker dies."""
        step, action, death = job.last_step, Action.CONTINUE, self._death(job)
        while step < self._task.epochs and action is Action.CONTINUE:
            until = min(self._tuner.stop(job, step), death - 1, self._task.epochs)
            if until > step:
                values, seconds = self._steps(job, step, until)
                yield sum(seconds.values())
                action = self._tuner.report(job, values, seconds)
                step = until
            if step == death - 1 and action is Action.CONTINUE:
                yield from self._die(job, death)
                return
        self._tuner.finish(job, action, step)

    def _death(self, job: Job) -> int:
        """The step during which the worker dies; beyond the last one if it lives.

        A lost lease dies before its first verdict, so that the share of lost leases is `loss`.
        """
        dies, share = self._rng.random() < self._setup.loss, self._rng.random()
        ahead = self._tuner.stop(job, job.last_step) - job.last_step
        return job.last_step + 1 + int(share * ahead) if dies else self._task.epochs + 2

    def _die(self, job: Job, step: int) -> Iterator[float]:
        """Die half way through a step; when the lease has run out another machine takes over."""
        self.record.losses += 1
        yield self._seconds(job, step) / 2
        self._tuner.lose(job)
        yield LEASE_SECONDS + 1
        self._tuner.notice()

    def _steps(self, job: Job, after: int, until: int) -> tuple[dict[int, float], dict[int, float]]:
        """Values and seconds of these steps, noted at the times at which they will have ended."""
        curve = self._curve(job)
        steps = range(after + 1, until + 1)
        seconds = {step: self._seconds(job, step) for step in steps}
        values = {step: self._reports[job.trial][step - 1] for step in steps}
        time = self._clock.now
        for step in steps:
            time += seconds[step]
            if time <= self._setup.horizon + TOLERANCE:
                self.record.trained += seconds[step]
                value = curve.values[step - 1]
                self.record.seen.append(Seen(time, value, curve.values[-1], values[step]))
                if step == self._task.epochs:
                    self.record.completed.append(self.record.seen[-1])
        return values, seconds

    def _seconds(self, job: Job, step: int) -> float:
        if self._setup.cost == "epochs" or step > self._task.epochs:
            return TRAINING_SECONDS / self._task.epochs
        return self._curve(job).seconds[step - 1] * self._scale

    def _curve(self, job: Job) -> Curve:
        if job.trial not in self._curves:
            (curve,) = self._task.curves([job.params])
            self._curves[job.trial] = curve
            self._reports[job.trial] = self._reported(curve, job)
        return self._curves[job.trial]

    def _reported(self, curve: Curve, job: Job) -> tuple[float, ...]:
        task, values = self._task, np.array(curve.values)
        if task.noise is not None:
            values += task.noise(job.params)
        if self._noise:
            values += self._noise * deviates(task.name, job.params, len(values))
        return tuple(values.tolist())
