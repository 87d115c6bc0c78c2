"""Rows of attempts: one lease each. The token is the whole fencing story."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.errors import LeaseLost, NotFound
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.store import studies
from tuner.store.tables import Attempt, Study, Trial, Worker

LOSSES = (OutcomeKind.LOST, OutcomeKind.CRASHED, OutcomeKind.HUNG)


class Held(NamedTuple):
    """A lease with the rows that its holder may write."""

    attempt: Attempt
    trial: Trial
    study: Study


def grant(trial: Trial, worker: Worker, *, now: datetime, seconds: float) -> tuple[Attempt, str]:
    """A lease of the worker on the trial of a locked study, to be added; also its secret token.

    The id begins with the study's, so that the study can be locked before anything is read.
    """
    token = secrets.token_urlsafe(24)
    trial.attempts += 1
    attempt = Attempt(
        id=f"{trial.study_id}-{uuid.uuid4().hex}",
        trial=trial,
        worker=worker,
        number=trial.attempts,
        token_hash=_hash(token),
        started_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    return attempt, token


def hold(session: Session, lease: str, token: str) -> Held:
    """The lease with its trial and its study, which is locked to the end of the transaction.

    An expired lease that nobody has released is still held: its worker is alive after all.

    Raises:
        LeaseLost: there is no such lease, the token is not its own, or it has ended.
    """
    held = locked(session, lease, token)
    require_held(held)
    return held


def require_held(held: Held) -> None:
    """Raise LeaseLost when the lease has ended."""
    if held.attempt.ended_at is not None:
        raise LeaseLost(
            f"lease {held.attempt.id} on trial {held.trial.number} of '{held.study.name}' ended "
            f"({held.attempt.outcome}); drop this work and ask for another trial"
        )


def locked(session: Session, lease: str, token: str) -> Held:
    """The lease, ended or not, its study locked. Raises LeaseLost."""
    try:
        study = studies.lock(session, study_of(lease))
    except NotFound:
        raise _unknown(lease) from None
    return _read(session, lease, token, study)


def look(session: Session, lease: str, token: str) -> Held:
    """The lease, ended or not, for reading. Raises LeaseLost."""
    study = session.get(Study, study_of(lease))
    if study is None:
        raise _unknown(lease)
    return _read(session, lease, token, study)


def study_of(lease: str) -> int:
    """The id of the study that a lease belongs to. Raises LeaseLost for what is no lease."""
    number = lease.partition("-")[0]
    if not number.isdecimal() or int(number) >= 2**63:
        raise _unknown(lease)
    return int(number)


def _read(session: Session, lease: str, token: str, study: Study) -> Held:
    row = session.execute(
        select(Attempt, Trial)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Attempt.id == lease, Trial.study_id == study.id)
    ).one_or_none()
    if row is None or not secrets.compare_digest(row[0].token_hash, _hash(token)):
        raise _unknown(lease)
    return Held(row[0], row[1], study)


def _unknown(lease: str) -> LeaseLost:
    return LeaseLost(f"no lease '{lease}' belongs to this token; ask for another trial")


def renew(attempt: Attempt, *, now: datetime, seconds: float) -> None:
    """Extend the lease from now on."""
    attempt.expires_at = now + timedelta(seconds=seconds)


def end(attempt: Attempt, outcome: Outcome, *, now: datetime) -> None:
    """Close the lease with how it ended."""
    attempt.ended_at = now
    attempt.outcome = outcome.kind
    attempt.error = outcome.error
    attempt.error_kind = outcome.error_kind


def list_expired(session: Session, *, now: datetime, limit: int) -> Sequence[tuple[str, int]]:
    """Ids of leases that ran out, each with its study's id, the oldest first; nothing is locked."""
    query = (
        select(Attempt.id, Trial.study_id)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Attempt.ended_at.is_(None), Attempt.expires_at < now)
        .order_by(Attempt.expires_at)
        .limit(limit)
    )
    return [(lease, study_id) for lease, study_id in session.execute(query)]


def expired(session: Session, lease: str, *, now: datetime) -> tuple[Attempt, Trial] | None:
    """The lease and its trial, if it is still held and has run out; the caller locked its study."""
    row = session.execute(
        select(Attempt, Trial)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Attempt.id == lease, Attempt.ended_at.is_(None), Attempt.expires_at < now)
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def count_losses(session: Session, trial: Trial) -> int:
    """How many of the trial's leases ended without the worker giving it back."""
    return int(
        session.scalar(
            select(func.count())
            .select_from(Attempt)
            .where(Attempt.trial_id == trial.id, Attempt.outcome.in_(LOSSES))
        )
        or 0
    )


def history(session: Session, trial_id: int) -> Sequence[tuple[Attempt, str]]:
    """Every lease of a trial with its worker's name, in order."""
    query = (
        select(Attempt, Worker.name)
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(Attempt.trial_id == trial_id)
        .order_by(Attempt.number)
    )
    return [(attempt, name) for attempt, name in session.execute(query)]


def holders(session: Session, trial_ids: Sequence[int]) -> dict[int, str]:
    """Name of the worker that holds, or last held, each trial."""
    query = (
        select(Attempt.trial_id, Worker.name)
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(Attempt.trial_id.in_(trial_ids))
        .order_by(Attempt.number)
    )
    return dict(session.execute(query).all())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
