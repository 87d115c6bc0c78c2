"""One turn of a worker after another: a trainer, a trial, its outcome."""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner import logs
from tuner.errors import SegtuneError, TrainingError
from tuner.spec.failures import gist
from tuner.spec.messages import LeaseRequest, Outcome, OutcomeKind, Unfitness
from workers import devices, outbox, recovery
from workers.asking import ask
from workers.attempt import Attempt
from workers.client import FATAL, ServerClient
from workers.identity import Identity
from workers.limits import Limits
from workers.notices import Notices
from workers.outcomes import needs_fresh_trainer, unfit
from workers.packing import Division
from workers.process import Exited, TrainerProcess
from workers.protocol import Ready
from workers.settings import WorkerSettings
from workers.slots import Slots, Stay

logger = logging.getLogger(__name__)
_CRASHES = {OutcomeKind.CRASHED, OutcomeKind.HUNG}


@dataclass(frozen=True, slots=True)
class Agent:
    """What stays the same over all trials of a worker."""

    settings: WorkerSettings
    identity: Identity
    client: ServerClient
    stop: threading.Event
    limits: Limits
    command: Sequence[str]
    division: Division
    slots: Slots

    @property
    def threads(self) -> int:
        """CPU threads of a trainer."""
        return self.division.threads

    @property
    def aside(self) -> Path:
        """Where what the server refuses for good is kept."""
        return self.settings.home / outbox.ASIDE

    def request(self, unfit: str | None = None) -> LeaseRequest:
        """The request for a trial, with what this worker can do; or why it can take none."""
        capabilities = devices.capabilities(
            self.identity.device, self.settings.labels, self.threads, self.settings.gpus
        ).model_copy(update={"slots": self.slots.limit.now})
        return LeaseRequest(
            worker=self.identity.name,
            capabilities=capabilities,
            wait=min(self.settings.poll_seconds, self.limits.idle) if unfit is None else 0,
            unfit=unfit,
        )


class WorkLoop:
    """One turn after another: a trainer, a trial, its outcome; nothing but FATAL ends it."""

    def __init__(self, agent: Agent, slot: int) -> None:
        self.pause = 0.0
        self._agent, self._slot = agent, slot
        self._notices = Notices(agent.limits.clock)
        self._asking = Notices(agent.limits.clock)
        self._trainer: TrainerProcess | None = None
        self._pauses = agent.limits.crashes.delays()

    def run_next(self) -> None:
        """Train one trial, if there is one; after trouble `pause` says how long to wait.

        Raises:
            Unauthorized: the server wants another token.
            UnsupportedVersion: the server is of a release that this worker does not understand.
        """
        self.pause = 0.0
        try:
            with self._agent.slots.turn(self._slot) as is_ours:
                taken = self._take() if is_ours else None
            if not is_ours:
                self._rest()
            if taken is not None:
                self._train(*taken)
        except FATAL:
            raise
        except Exception as error:
            if not isinstance(error, SegtuneError | OSError):
                logger.exception("a mistake of ours")
            self._back_off(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """End the trainer."""
        if self._trainer is not None:
            self._trainer.close()

    def _take(self) -> tuple[TrainerProcess, Stay] | None:
        """A trainer that waits for work, and a trial for it."""
        agent = self._agent
        try:
            self._trainer = trainer = _ready(agent, self._trainer, self._slot)
        except (TrainingError, OSError) as error:
            self._report_unfit(error)
            return None
        if trainer is None:
            return None
        assignment = ask(
            agent.client,
            agent.request,
            stop=agent.stop,
            limits=agent.limits,
            notices=self._asking,
        )
        if assignment is None:
            return None
        stay = agent.slots.admit(self._slot, assignment)
        if stay is None:
            logger.info("%s/%d has no room yet", assignment.study, assignment.trial)
            back = Outcome(kind=OutcomeKind.YIELDED, step=assignment.last_step)
            lease, token = assignment.lease, assignment.token
            recovery.hand_back(agent.client, lease, token, back, give_up=agent.stop.wait)
            return None
        return trainer, stay

    def _rest(self) -> None:
        """Wait for a turn; without room, what a trainer without a trial holds is given up."""
        self.pause = self._agent.limits.tick
        if self._agent.slots.is_full and self._trainer is not None:
            self._trainer.close()
            self._trainer = None

    def _train(self, trainer: TrainerProcess, stay: Stay) -> None:
        outcome = None
        try:
            outcome = _attempt(self._agent, trainer, stay)
        finally:
            self._agent.slots.leave(self._slot, outcome)
        if outcome is not None:
            self._end_trial(trainer, outcome)

    def _end_trial(self, trainer: TrainerProcess, outcome: Outcome) -> None:
        if needs_fresh_trainer(outcome):
            trainer.close()
        if outcome.unfitness is not None:
            self._back_off(f"this machine cannot train it: {gist(outcome.error or '')}")
        elif outcome.kind in _CRASHES:  # a broken GPU must not use up every trial
            self.pause = next(self._pauses)
        else:
            self._notices.over("trials are trained again")
            self._pauses = self._agent.limits.crashes.delays()

    def _back_off(self, text: str) -> None:
        self._notices.trouble(text)
        self.pause = next(self._pauses)

    def _report_unfit(self, error: Exception) -> None:
        """Take no trial without a trainer, and let the server show why."""
        self._trainer = None
        self._back_off(f"no trial is taken: {error}")
        if self._agent.slots.is_busy:
            return  # this machine trains, only no more than it does
        client, stop = self._agent.client, self._agent.stop
        try:
            given = client.lease(self._agent.request(unfit=str(error)[:20_000]))
            if given is not None:  # by a server that does not listen
                outcome = unfit(Unfitness.MACHINE, given.last_step, error)
                recovery.hand_back(client, given.lease, given.token, outcome, give_up=stop.wait)
        except FATAL:
            raise
        except SegtuneError as refusal:
            logger.info("the server does not know it: %s", refusal)


def _attempt(agent: Agent, trainer: TrainerProcess, stay: Stay) -> Outcome | None:
    study, trial, attempt = stay.assignment.study, stay.assignment.trial, stay.assignment.attempt
    with logs.about(study=study, trial=trial, attempt=attempt):
        return _attempted(agent, trainer, stay)


def _attempted(agent: Agent, trainer: TrainerProcess, stay: Stay) -> Outcome | None:
    assignment = stay.assignment
    name = f"{assignment.study}/{assignment.trial}"
    logger.info("%s starts, attempt %d", name, assignment.attempt)
    try:
        box = outbox.create(
            agent.settings.cache_folder / "leases",
            assignment,
            server=agent.settings.server,
            host=devices.hostname(),
            aside=agent.aside,
        )
    except OSError as error:
        outcome = unfit(Unfitness.MACHINE, assignment.last_step, error)
        lease, token = assignment.lease, assignment.token
        recovery.hand_back(agent.client, lease, token, outcome, give_up=agent.stop.wait)
        return outcome
    try:
        attempt = Attempt(
            stay,
            box,
            trainer=trainer,
            client=agent.client,
            stop=agent.stop,
            limits=agent.limits,
        )
        return attempt.run()
    except FATAL:
        raise
    except Exception as error:
        logger.exception("%s is given back", name)
        trainer.kill()
        outcome = unfit(Unfitness.MACHINE, box.last_step, f"{type(error).__name__}: {error}")
        recovery.deliver(box, agent.client, outcome, stop=agent.stop, limits=agent.limits)
        return outcome


def _ready(agent: Agent, trainer: TrainerProcess | None, slot: int) -> TrainerProcess | None:
    """A trainer that waits for work, started if need be; None when the worker is to stop.

    Raises:
        TrainingError: it ended, or said nothing for too long.
        OSError: it cannot be started.
    """
    if trainer is not None and trainer.is_alive:
        return trainer
    if trainer is not None:
        trainer.close()
    trainer = _start(agent, slot)
    deadline = agent.limits.clock() + agent.limits.hang
    how = f"was not ready after {agent.limits.hang:g} s"
    while not agent.stop.is_set() and agent.limits.clock() <= deadline:
        match trainer.next_event(agent.limits.tick):
            case Ready():
                return trainer
            case Exited() as exited:
                how = f"ended before it was ready ({exited})"
                break
    trainer.close()
    if agent.stop.is_set():
        return None
    raise TrainingError(f"the trainer process {how}; its last output:\n{trainer.log_tail()}")


def _start(agent: Agent, slot: int) -> TrainerProcess:
    settings, device = agent.settings, agent.identity.device
    options = ["--device", devices.torch_name(device), "--threads", str(agent.threads)]
    options += ["--cache", str(settings.cache_folder)]
    options += ["--checkpoint-seconds", str(settings.checkpoint_seconds)]
    options += ["--log-format", settings.log_format]
    for root in settings.data_roots:
        options += ["--root", str(root)]
    return TrainerProcess(
        settings.home / "logs" / f"{agent.identity.name}{f'+{slot}' if slot > 1 else ''}.log",
        command=[*agent.command, *options],
        device=device,
        env=devices.environment(os.environ, agent.identity.devices, agent.threads),
    )
