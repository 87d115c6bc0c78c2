"""The worker: asks for a trial, has its trainer train it, hands it in, and asks again.

Loads no torch; everything that may crash or hang happens in the trainer process. Only a refused
token and a server of another release end it: all else is logged, and tried again ever more rarely.
"""

import logging
import math
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from types import FrameType

from tuner import logs
from tuner.configs import catalog, plugins
from tuner.spec.kinds import DeviceKind
from workers import devices, recovery
from workers.client import FATAL, ServerClient
from workers.identity import Identity, acquire
from workers.limits import Limits
from workers.memory_pools import pools
from workers.packing import Division, divided
from workers.process import COMMAND
from workers.settings import WorkerSettings
from workers.slots import Slots, Surroundings
from workers.work_loop import Agent, WorkLoop

logger = logging.getLogger(__name__)


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
    division = _divided(settings, identity)
    place = Surroundings(
        identity.device,
        partial(pools, identity.device),
        settings.cache_folder,
        limits.clock,
    )
    slots = Slots(division.most, place, max_trials=max_trials)
    agent = Agent(
        settings, identity, client, stop, limits, tuple(command or COMMAND), division, slots
    )
    logger.info("worker %s on %s asks %s", identity.name, identity.device, settings.server)
    try:
        with logs.about(worker=identity.name, everywhere=True), _signals_set(stop):
            _work(agent)
    finally:
        client.close()
        identity.release()
    logger.info("worker %s ends", identity.name)
    return 0


def _divided(settings: WorkerSettings, identity: Identity) -> Division:
    device = identity.device
    return divided(
        None if settings.slots == "auto" else settings.slots,
        devices.threads(device, identity.gpus),
        settings.threads,
        is_gpu=device.kind == DeviceKind.CUDA,
    )


def _work(agent: Agent) -> None:
    """Let each slot ask and train, all but the first in a thread of its own."""
    _recover(agent)
    errors: list[Exception] = []
    others = [
        threading.Thread(
            target=copy_context().run,
            args=(_work_beside, agent, slot, errors),
            name=f"slot {slot}",
            daemon=True,
        )
        for slot in range(2, agent.slots.most + 1)
    ]
    for thread in others:
        thread.start()
    try:
        _work_in(agent, 1)
    except Exception as error:
        errors.append(error)
        agent.stop.set()
    for thread in others:
        thread.join()
    if errors:
        raise errors[0]


def _work_beside(agent: Agent, slot: int, errors: list[Exception]) -> None:
    try:
        _work_in(agent, slot)
    except Exception as error:
        errors.append(error)
        agent.stop.set()


def _work_in(agent: Agent, slot: int) -> None:
    loop = WorkLoop(agent, slot)
    try:
        while not agent.stop.wait(loop.pause) and agent.slots.is_open:
            loop.run_next()
            if agent.slots.idle >= agent.limits.idle:
                logger.info("no trial for %.0f s", agent.slots.idle)
                agent.slots.close()
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
