"""Rows of measurements: what a network costs where it is to run, known to all studies."""

from contextlib import suppress
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tuner.spec.deployment import Measured
from tuner.store.tables import Measurement

_LONGEST = 200  # characters of a device's name
_TURN = 0x6D656173  # of PostgreSQL's advisory locks the one that is ours: "meas"


def find(session: Session, signature: str, deployment: str) -> dict[str, float] | None:
    """What is known of a network at a deployment, by metric."""
    query = select(Measurement.metrics).where(
        Measurement.signature == signature, Measurement.deployment == deployment
    )
    return session.scalar(query)


def keep(
    session: Session, signature: str, deployment: str, measured: Measured, *, now: datetime
) -> dict[str, float]:
    """Write down what was measured, and give what counts: the first that was.

    So trials of one network have one latency, whichever worker measured it again.
    """
    values = {"signature": signature, "deployment": deployment, "created_at": now}
    values |= {"device": measured.device[:_LONGEST], "metrics": measured.measurements.metrics}
    known = find(session, signature, deployment)
    if known is None:
        _take_turn(session)
        with suppress(IntegrityError), session.begin_nested():  # another study may come first
            session.execute(insert(Measurement), [values])
        known = find(session, signature, deployment)
    return known or measured.measurements.metrics


def _take_turn(session: Session) -> None:
    """Let one transaction at a time add rows, to its end.

    A group of works adds several, in the order of its studies: two groups that add the same ones in
    two orders would each wait for the other. All studies of a group are locked before.
    """
    if session.get_bind().dialect.name != "sqlite":  # of which one writes at a time anyway
        session.execute(select(func.pg_advisory_xact_lock(_TURN)))
