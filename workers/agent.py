"""The worker: asks for a trial, has its trainer train it, hands it in, and asks again.

Loads no torch; everything that may crash or hang happens in the trainer process. Only a refused
token and a server of another release end it: all else is logged, and tried again ever more rarely.
"""

import logging
import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tuner import logs
from tuner.configs import catalog, plugins
from tuner.errors import SegtuneError, TrainingError
from tuner.spec.failures import gist
from tuner.spec.messages import Assignment, LeaseRequest, Outcome, OutcomeKind, Unfitness
from workers import devices, outbox, recovery
from workers.asking import ask
from workers.attempt import Attempt
from workers.client import FATAL, ServerClient
from workers.identity import Identity, acquire
from workers.limits import Limits
from workers.notices import Notices
from workers.outcomes import needs_fresh_trainer, unfit
from workers.process import COMMAND, Exited, TrainerProcess
from workers.protocol import Ready
from workers.settings import WorkerSettings

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

    @property
    def threads(self) -> int:
        """CPU threads of the trainer."""
        share = devices.threads(self.identity.device, self.identity.gpus)
        return self.settings.threads or share

    @property
    def aside(self) -> Path:
        """Where what the server refuses for good is kept."""
        return self.settings.home / outbox.ASIDE

    def request(self, unfit: str | None = None) -> LeaseRequest:
        """The request for a trial, with what this worker can do; or why it can take none."""
        capabilities = devices.capabilities(
            self.identity.device, self.settings.labels, self.threads, self.settings.gpus
        )
        return LeaseRequest(
            worker=self.identity.name,
            capabilities=capabilities,
            wait=min(self.settings.poll_seconds, self.limits.idle) if unfit is None else 0,
            unfit=unfit,
        )


def run(
    settings: WorkerSettings,
    *,
    stop: threading.Event | None = None,
    max_trials: int | None = None,
    command: Sequence[str] | None = None,
    limits: Limits | None = None,
) -> int:
    """Work until `stop`, SIGTERM or SIGINT, or until `max_trials` attempts have ended; gives 0.

    So it does after `idle_seconds` without a trial, whatever the reason. The first signal lets the
    trial save a checkpoint and hands it back, the second one kills.

    Raises:
        Unauthorized: the server wants another token.
        UnsupportedVersion: the server is of a release that this worker does not understand.
        InvalidInput: the machine has no such device, no worker may be called so, or a plug-in has
            the name of another component.
    """
    plugins.allow(settings.plugins)
    if settings.plugins:
        catalog.read_all(catalog.TRAINING)
    stop = stop or threading.Event()
    token = settings.token.get_secret_value() if settings.token else None
    limits = limits or Limits(
        hang=settings.hang_seconds,
        checkpoint=settings.checkpoint_seconds,
        idle=settings.idle_seconds or math.inf,
    )
    client = ServerClient(settings.server, token, backoff=limits.backoff)
    identity = acquire(settings)
    agent = Agent(settings, identity, client, stop, limits, tuple(command or COMMAND))
    logger.info("worker %s on %s asks %s", identity.name, identity.device, settings.server)
    try:
        with logs.about(worker=identity.name, everywhere=True), _signals_set(stop):
            _work(agent, max_trials)
    finally:
        client.close()
        identity.release()
    logger.info("worker %s ends", identity.name)
    return 0


def _work(agent: Agent, max_trials: int | None) -> None:
    _recover(agent)
    loop = _WorkLoop(agent)
    try:
        while not agent.stop.wait(loop.pause) and (max_trials is None or loop.done < max_trials):
            loop.run_next()
            if loop.idle >= agent.limits.idle:
                logger.info("no trial for %.0f s", loop.idle)
                break
    finally:
        loop.close()


def _recover(agent: Agent) -> None:
    try:
        recovery.deliver_leftovers(
            agent.settings.cache_folder / "leases",
            agent.client,
            host=devices.hostname(),
            stop=agent.stop,
            limits=agent.limits,
            aside=agent.aside,
        )
    except FATAL:
        raise
    except Exception:  # what cannot be read now may be read when the worker starts again
        logger.exception("what was left behind cannot be delivered")


class _WorkLoop:
    """One turn after another: a trainer, a trial, its outcome; nothing but FATAL ends it."""

    def __init__(self, agent: Agent) -> None:
        self.done, self.pause = 0, 0.0
        self._agent, self._notices = agent, Notices(agent.limits.clock)
        self._asking = Notices(agent.limits.clock)
        self._trainer: TrainerProcess | None = None
        self._pauses = agent.limits.crashes.delays()
        self._since = agent.limits.clock()

    @property
    def idle(self) -> float:
        """Seconds since the last trial, or since the start."""
        return self._agent.limits.clock() - self._since

    def run_next(self) -> None:
        """Train one trial, if there is one; after trouble `pause` says how long to wait.

        Raises:
            Unauthorized: the server wants another token.
            UnsupportedVersion: the server is of a release that this worker does not understand.
        """
        self.pause = 0.0
        try:
            self._trainer = trainer = _ready(self._agent, self._trainer)
        except (TrainingError, OSError) as error:
            self._report_unfit(error)
            return
        if trainer is None:
            return
        try:
            outcome = self._train_next(trainer)
        except FATAL:
            raise
        except Exception as error:
            if not isinstance(error, SegtuneError | OSError):
                logger.exception("a mistake of ours")
            self._back_off(f"{type(error).__name__}: {error}")
            return
        if outcome is not None:
            self._end_trial(trainer, outcome)

    def close(self) -> None:
        """End the trainer."""
        if self._trainer is not None:
            self._trainer.close()

    def _train_next(self, trainer: TrainerProcess) -> Outcome | None:
        agent = self._agent
        assignment = ask(
            agent.client,
            agent.request,
            stop=agent.stop,
            limits=agent.limits,
            notices=self._asking,
        )
        if assignment is None:
            return None
        self.done += 1
        try:
            return _attempt(agent, trainer, assignment)
        finally:
            self._since = agent.limits.clock()

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


def _attempt(agent: Agent, trainer: TrainerProcess, assignment: Assignment) -> Outcome | None:
    study, trial, attempt = assignment.study, assignment.trial, assignment.attempt
    with logs.about(study=study, trial=trial, attempt=attempt):
        return _attempted(agent, trainer, assignment)


def _attempted(agent: Agent, trainer: TrainerProcess, assignment: Assignment) -> Outcome | None:
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
            assignment,
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


def _ready(agent: Agent, trainer: TrainerProcess | None) -> TrainerProcess | None:
    """A trainer that waits for work, started if need be; None when the worker is to stop.

    Raises:
        TrainingError: it ended, or said nothing for too long.
        OSError: it cannot be started.
    """
    if trainer is not None and trainer.is_alive:
        return trainer
    if trainer is not None:
        trainer.close()
    trainer = _start(agent)
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


def _start(agent: Agent) -> TrainerProcess:
    settings, device = agent.settings, agent.identity.device
    options = ["--device", devices.torch_name(device), "--threads", str(agent.threads)]
    options += ["--cache", str(settings.cache_folder)]
    options += ["--checkpoint-seconds", str(settings.checkpoint_seconds)]
    options += ["--log-format", settings.log_format]
    for root in settings.data_roots:
        options += ["--root", str(root)]
    return TrainerProcess(
        settings.home / "logs" / f"{agent.identity.name}.log",
        command=[*agent.command, *options],
        device=device,
        env=devices.environment(os.environ, agent.identity.devices, agent.threads),
    )


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    """Let the first SIGTERM or SIGINT set `stop`, and the second do what it always does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, frame: FrameType | None) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        stop.set()

    for number in before:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
