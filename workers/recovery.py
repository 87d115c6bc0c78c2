"""Hands in what agents of this machine left behind when they were killed or could not wait."""

import logging
import threading
from pathlib import Path

from tuner.errors import Unauthorized
from tuner.spec.messages import Outcome, OutcomeKind
from workers.client import ServerClient
from workers.delivery import Delivery
from workers.limits import Limits
from workers.outbox import Outbox, OutcomeEntry, leftovers

log = logging.getLogger(__name__)


def deliver_leftovers(
    root: Path,
    client: ServerClient,
    *,
    host: str,
    stop: threading.Event,
    limits: Limits,
) -> None:
    """Deliver each outbox whose lease still stands, and drop the others.

    Waits for the server, because a worker has nothing else to do without one. Raises Unauthorized.
    """
    for box in leftovers(root, server=client.server, host=host):
        if stop.is_set():
            box.release()
            continue
        _deliver(box, client, stop, limits)


def _deliver(box: Outbox, client: ServerClient, stop: threading.Event, limits: Limits) -> None:
    name = f"{box.header.study}/{box.header.trial}"
    with Delivery(
        box,
        client,
        on_verdict=lambda verdict: None,
        on_refused=lambda error: None,
        backoff=limits.backoff,
    ) as delivery:
        if not box.is_complete:
            error = "the worker's agent ended without a word; its trainer ended with it"
            outcome = Outcome(
                kind=OutcomeKind.CRASHED, step=box.last_step, error=error, error_kind="crash"
            )
            delivery.put(OutcomeEntry(outcome=outcome))
        while not delivery.wait(limits.tick):
            if stop.is_set():
                box.release()
                return
    if isinstance(delivery.refusal, Unauthorized):
        box.release()
        raise delivery.refusal
    if delivery.refusal is None:
        log.info("%s: %d entries left behind are delivered", name, len(box.entries))
    else:
        log.warning("%s: what was left behind is dropped: %s", name, delivery.refusal)
    box.remove()
