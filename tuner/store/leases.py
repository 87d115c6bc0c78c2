"""Rows of attempts: one lease each. The token is the whole fencing story."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.errors import LeaseLost
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.store.tables import Attempt, Study, Trial, Worker

LOSSES = (OutcomeKind.LOST, OutcomeKind.CRASHED, OutcomeKind.HUNG)


class Held(NamedTuple):
    """A lease with the rows that its holder may write, all of them locked."""

    attempt: Attempt
    trial: Trial
    study: Study


def grant(
    session: Session, trial: Trial, worker: Worker, *, now: datetime, seconds: float
) -> tuple[Attempt, str]:
    """Give the worker a lease on the trial of a locked study; also its secret token."""
    token = secrets.token_urlsafe(24)
    trial.attempts += 1
    attempt = Attempt(
        id=uuid.uuid4().hex,
        trial_id=trial.id,
        number=trial.attempts,
        worker_id=worker.id,
        token_hash=_hash(token),
        started_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )
    session.add(attempt)
    return attempt, token


def hold(session: Session, lease: str, token: str) -> Held:
    """The lease with its trial and study, locked to the end of the transaction.

    An expired lease that nobody has released is still held: its worker is alive after all.

    Raises:
        LeaseLost: there is no such lease, the token is not its own, or it has ended.
    """
    held = look(session, lease, token, lock=True)
    require_held(held)
    return held


def require_held(held: Held) -> None:
    """Raise LeaseLost when the lease has ended."""
    if held.attempt.ended_at is not None:
        raise LeaseLost(
            f"lease {held.attempt.id} on trial {held.trial.number} of '{held.study.name}' ended "
            f"({held.attempt.outcome}); drop this work and ask for another trial"
        )


def look(session: Session, lease: str, token: str, *, lock: bool = False) -> Held:
    """The lease, ended or not. Raises LeaseLost for an unknown one or a wrong token."""
    query = (
        select(Attempt, Trial, Study)
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Study, Study.id == Trial.study_id)
        .where(Attempt.id == lease)
    )
    if lock:
        query = query.with_for_update(of=[Study, Attempt, Trial])
    row = session.execute(query).one_or_none()
    if row is None or not secrets.compare_digest(row[0].token_hash, _hash(token)):
        raise LeaseLost(f"no lease '{lease}' belongs to this token; ask for another trial")
    return Held(*row)


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
    """The lease and its trial if it is still held and has run out; its study is locked."""
    row = session.execute(
        select(Attempt, Trial)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Attempt.id == lease, Attempt.ended_at.is_(None), Attempt.expires_at < now)
        .with_for_update(of=[Attempt, Trial])
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
