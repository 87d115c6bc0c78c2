"""The worker: asks for a trial, has its trainer train it, hands it in, and asks again.

Loads no torch; everything that may crash or hang happens in the trainer process.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

from tuner.errors import SegtuneError, ServerUnreachable, TrainingError
from tuner.spec.messages import (
    Assignment,
    Capabilities,
    LeaseRequest,
    Outcome,
    OutcomeKind,
)
from workers import devices, outbox, recovery
from workers.attempt import Attempt
from workers.client import ServerClient
from workers.endings import needs_fresh_trainer
from workers.identity import Identity, claim
from workers.limits import Limits
from workers.process import COMMAND, Exited, TrainerProcess
from workers.protocol import Ready
from workers.settings import WorkerSettings

log = logging.getLogger(__name__)
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

    def capabilities(self) -> Capabilities:
        """What this worker can do."""
        return devices.capabilities(self.identity.device, self.settings.labels, self.threads)


def run(
    settings: WorkerSettings,
    *,
    stop: threading.Event | None = None,
    max_trials: int | None = None,
    command: Sequence[str] | None = None,
    limits: Limits | None = None,
) -> int:
    """Work until `stop`, SIGTERM or SIGINT, or until `max_trials` attempts have ended; gives 0.

    The first signal lets the trial save a checkpoint and hands it back, the second one kills.

    Raises:
        Unauthorized: the server wants another token.
        InvalidSpec: the machine has no such device.
        TrainingError: the trainer process does not start.
    """
    stop = stop or threading.Event()
    token = settings.token.get_secret_value() if settings.token else None
    limits = limits or Limits(hang=settings.hang_seconds, checkpoint=settings.checkpoint_seconds)
    client = ServerClient(settings.server, token, backoff=limits.backoff)
    identity = claim(settings)
    agent = Agent(settings, identity, client, stop, limits, tuple(command or COMMAND))
    log.info("worker %s on %s asks %s", identity.name, identity.device, settings.server)
    try:
        with _signals_set(stop):
            _work(agent, max_trials)
    finally:
        client.close()
        identity.lock.release()
    log.info("worker %s ends", identity.name)
    return 0


def _work(agent: Agent, max_trials: int | None) -> None:
    recovery.deliver_leftovers(
        agent.settings.cache_folder / "leases",
        agent.client,
        host=devices.hostname(),
        stop=agent.stop,
        limits=agent.limits,
    )
    trainer: TrainerProcess | None = None
    crashes, pause, done = agent.limits.crashes.delays(), 0.0, 0
    try:
        while not agent.stop.wait(pause) and (max_trials is None or done < max_trials):
            pause = 0.0
            trainer = _ready(agent, trainer)
            assignment = _ask(agent)
            if assignment is None or trainer is None:
                continue
            outcome = _attempt(agent, trainer, assignment)
            done += 1
            if outcome is not None and needs_fresh_trainer(outcome):
                trainer.close()
            if outcome is not None and outcome.kind in _CRASHES and done != max_trials:
                pause = next(crashes)  # a broken GPU must not use up every trial
            else:
                crashes = agent.limits.crashes.delays()
    finally:
        if trainer is not None:
            trainer.close()


def _attempt(agent: Agent, trainer: TrainerProcess, assignment: Assignment) -> Outcome | None:
    name = f"{assignment.study}/{assignment.trial}"
    log.info("%s starts, attempt %d", name, assignment.attempt)
    box = outbox.create(
        agent.settings.cache_folder / "leases",
        assignment,
        server=agent.settings.server,
        host=devices.hostname(),
    )
    attempt = Attempt(
        assignment,
        box,
        trainer=trainer,
        client=agent.client,
        stop=agent.stop,
        limits=agent.limits,
    )
    return attempt.run()


def _ready(agent: Agent, trainer: TrainerProcess | None) -> TrainerProcess | None:
    """A trainer that waits for work, started if need be; None when the worker is to stop."""
    if trainer is not None and trainer.is_alive:
        return trainer
    if trainer is not None:
        trainer.close()
    trainer = _start(agent)
    while not agent.stop.is_set():
        match trainer.next_event(agent.limits.tick):
            case Ready():
                return trainer
            case Exited() as exited:
                trainer.close()
                raise TrainingError(
                    f"the trainer process ended before it was ready ({exited}); "
                    f"its last output:\n{trainer.log_tail()}"
                )
    trainer.close()
    return None


def _start(agent: Agent) -> TrainerProcess:
    settings, device = agent.settings, agent.identity.device
    options = ["--device", devices.torch_name(device), "--threads", str(agent.threads)]
    options += ["--cache", str(settings.cache_folder)]
    options += ["--checkpoint-seconds", str(settings.checkpoint_seconds)]
    for root in settings.data_roots:
        options += ["--root", str(root)]
    return TrainerProcess(
        settings.home / "logs" / f"{agent.identity.name}.log",
        command=[*agent.command, *options],
        env=devices.environment(os.environ, device, agent.threads),
    )


def _ask(agent: Agent) -> Assignment | None:
    """Ask for a trial once; None when there is none, or when the worker is to stop."""
    answers: SimpleQueue[Assignment | SegtuneError | None] = SimpleQueue()
    # A thread, because the server holds the request and a signal must not wait for it.
    threading.Thread(target=lambda: answers.put(_lease(agent)), name="lease", daemon=True).start()
    while not agent.stop.is_set():
        with suppress(Empty):
            answer = answers.get(timeout=agent.limits.tick)
            if isinstance(answer, SegtuneError):
                raise answer
            return answer
    with suppress(Empty):
        _give_back(agent, answers.get(timeout=agent.limits.tick))
    return None


def _lease(agent: Agent) -> Assignment | SegtuneError | None:
    request = LeaseRequest(
        worker=agent.identity.name,
        capabilities=agent.capabilities(),
        wait=agent.settings.poll_seconds,
    )
    try:
        began = agent.limits.clock()
        found = agent.client.patiently(lambda: agent.client.lease(request), give_up=agent.stop.wait)
        if found is None and agent.limits.clock() - began < 1.0:
            agent.stop.wait(1.0)  # a server that does not hold requests must not be flooded
    except ServerUnreachable:
        return None
    except SegtuneError as error:
        return error
    return found


def _give_back(agent: Agent, answer: Assignment | SegtuneError | None) -> None:
    """Return a trial that was assigned while the worker was about to stop."""
    if isinstance(answer, Assignment):
        outcome = Outcome(kind=OutcomeKind.YIELDED, step=answer.last_step)
        with suppress(SegtuneError):
            agent.client.finish(answer.lease, answer.token, outcome)


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
