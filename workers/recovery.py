"""Hands in what agents of this machine left behind, and what could not be handed in as it was."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from tuner import logs
from tuner.errors import LeaseLost, SegtuneError
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Outcome, OutcomeKind
from workers.client import FATAL, ServerClient
from workers.delivery import Delivery
from workers.limits import Limits
from workers.outbox import Outbox, OutcomeEntry, leftovers
from workers.outcomes import refused
from workers.retries import RetryLimit

logger = logging.getLogger(__name__)


def deliver_leftovers(
    root: Path,
    client: ServerClient,
    *,
    host: str,
    stop: threading.Event,
    limits: Limits,
    aside: Path | None = None,
) -> None:
    """Deliver each outbox whose lease still stands, and drop the others.

    Waits for the server, because a worker has nothing else to do without one.

    Raises:
        Unauthorized, UnsupportedVersion: the outbox is kept.
    """
    error = "the worker's agent ended without a word; its trainer ended with it"
    for box in leftovers(root, server=client.server, host=host, aside=aside):
        if stop.is_set():
            box.release()
            continue
        end = Outcome(
            kind=OutcomeKind.CRASHED, step=box.last_step, error=error, error_kind=ErrorKind.CRASH
        )
        deliver(box, client, end, stop=stop, limits=limits)


def deliver(
    box: Outbox, client: ServerClient, end: Outcome, *, stop: threading.Event, limits: Limits
) -> None:
    """Deliver an outbox whose trainer is gone, with this end if it has none; then delete it.

    What is left when the worker is to stop stays on disk.

    Raises:
        Unauthorized, UnsupportedVersion: the outbox is kept.
    """
    with logs.about(study=box.header.study, trial=box.header.trial):
        _deliver(box, client, end, stop=stop, limits=limits)


def _deliver(
    box: Outbox, client: ServerClient, end: Outcome, *, stop: threading.Event, limits: Limits
) -> None:
    name = f"{box.header.study}/{box.header.trial}"
    delivery = Delivery(
        box,
        client,
        on_verdict=lambda verdict: None,
        on_refusal=lambda error: None,
        backoff=limits.backoff,
    )
    with delivery.running():
        if not box.is_complete:
            delivery.put(OutcomeEntry(outcome=end))
        while not delivery.wait(limits.tick):
            if stop.is_set():
                box.release()
                return
    if isinstance(delivery.refusal, FATAL):
        box.release()
        raise delivery.refusal
    if delivery.refusal is None:
        logger.info("%s: %d entries left behind are delivered", name, len(box.entries))
    else:
        logger.warning("%s: what was left behind is dropped: %s", name, delivery.refusal)
        if not isinstance(delivery.refusal, LeaseLost):
            end_refused(box, delivery, client, give_up=stop.wait)
    box.remove()


def end_refused(
    box: Outbox, delivery: Delivery, client: ServerClient, *, give_up: Callable[[float], bool]
) -> None:
    """Set aside what the server refuses for good, and end the trial with that reason."""
    kept = box.set_aside(delivery.refused, delivery.refusal)
    outcome = refused(delivery.refusal, kept, box.last_step)
    logger.warning("%s/%d ends: %s", box.header.study, box.header.trial, outcome.error)
    hand_back(client, box.header.lease, box.header.token, outcome, give_up=give_up)


def hand_back(
    client: ServerClient,
    lease: str,
    token: str,
    outcome: Outcome,
    *,
    give_up: Callable[[float], bool],
) -> None:
    """Tell how an attempt ended that has no outbox; the lease runs out if that is refused too."""
    try:
        client.patiently(
            lambda: client.finish(lease, token, outcome),
            give_up=give_up,
            retries=RetryLimit(lambda: client.renew(lease, token)),
        )
    except FATAL:
        raise
    except SegtuneError as error:
        logger.warning("the end of lease %s is not reported: %s", lease, error)
