"""Rows of attempts: one lease each. The token is the whole fencing story."""

import hashlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from tuner.errors import LeaseLost, NotFound
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.store import hot, studies
from tuner.store.group import Need
from tuner.store.held import HeldAttempt, HeldTrial
from tuner.store.tables import Attempt, AttemptLog, Report, Study, Trial, Worker

LOSSES = (OutcomeKind.LOST, OutcomeKind.CRASHED, OutcomeKind.HUNG)
_COUNTS = Attempt.number > func.coalesce(Trial.forgiven, 0)  # no retry has forgiven the attempt


class Held(NamedTuple):
    """A lease with what its holder may write."""

    attempt: HeldAttempt
    trial: HeldTrial
    study: Study


class Granted(NamedTuple):
    """A new lease, with its secret token."""

    id: str
    token: str
    expires_at: datetime


def grant(
    session: Session, trial: Trial, worker_id: int, *, now: datetime, seconds: float
) -> Granted:
    """Lease a trial of a locked study to a worker.

    The id begins with the study's, so that the study can be locked before anything is read.
    """
    trial.attempts += 1
    granted = Granted(
        id=f"{trial.study_id}-{uuid.uuid4().hex}",
        token=secrets.token_urlsafe(24),
        expires_at=now + timedelta(seconds=seconds),
    )
    row = {
        "id": granted.id,
        "number": trial.attempts,
        "worker_id": worker_id,
        "token_hash": _hash(granted.token),
        "started_at": now,
        "expires_at": granted.expires_at,
    }
    hot.batch_of(session).new_leases.append((trial, row))
    return granted


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
    if study is None or study.deleted_at is not None:
        raise _unknown(lease)
    return _read(session, lease, token, study)


def study_of(lease: str) -> int:
    """The id of the study that a lease belongs to. Raises LeaseLost for what is not a lease."""
    number = lease.partition("-")[0]
    if not number.isdecimal() or int(number) >= 2**63:
        raise _unknown(lease)
    return int(number)


def need(lease: str, token: str) -> Need:
    """What a work under a lease needs; LeaseLost is found before it begins."""
    return Need(study_of(lease), lease, look=lambda session: locked(session, lease, token))


def _read(session: Session, lease: str, token: str, study: Study) -> Held:
    held = _find(session, lease, study)
    if held is None or not secrets.compare_digest(held.attempt.token_hash, _hash(token)):
        raise _unknown(lease)
    return held


def _find(session: Session, lease: str, study: Study) -> Held | None:
    """The lease with its trial, if it is one of the study's."""
    batch = hot.batch_of(session)
    batch.read_leases(session, [lease])
    attempt = batch.attempts.get(lease)
    if attempt is None or batch.trials[attempt.trial_id].study_id != study.id:
        return None
    return Held(attempt, batch.trials[attempt.trial_id], study)


def _unknown(lease: str) -> LeaseLost:
    return LeaseLost(f"no lease '{lease}' belongs to this token; ask for another trial")


def renew(attempt: HeldAttempt, *, now: datetime, seconds: float) -> None:
    """Extend the lease from now on."""
    attempt.expires_at = now + timedelta(seconds=seconds)
    attempt.renewed_at = now


def note_usage(session: Session, attempt: HeldAttempt, usage: Mapping[str, Any]) -> None:
    """Write down with the renewal how busy the worker's device is."""
    hot.batch_of(session).usages[attempt.id] = dict(usage)


def keep_log(session: Session, attempt: HeldAttempt, text: str, *, now: datetime) -> None:
    """Keep the end of an attempt's log, in place of the one before."""
    row = {"attempt_id": attempt.id, "text": text, "updated_at": now}
    hot.batch_of(session).logs[attempt.id] = row


def end(attempt: HeldAttempt, outcome: Outcome, *, now: datetime) -> None:
    """Close the lease with how it ended."""
    attempt.ended_at = now
    attempt.outcome = outcome.kind
    attempt.error = outcome.error
    attempt.error_kind = outcome.error_kind


def note_reason(attempt: HeldAttempt, reason: str) -> None:
    """Keep why the trial of an ended lease went where it did."""
    attempt.reason = reason or None


def note_trial_reason(trial: HeldTrial, reason: str) -> None:
    """Say why a trial is where it is."""
    trial.reason = reason


def list_held(session: Session, study: Study) -> list[Held]:
    """The leases of a locked study that have not ended, by trial."""
    hot.write(session)
    query = (
        select(Attempt.id)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Trial.study_id == study.id, Attempt.ended_at.is_(None))
        .order_by(Trial.number)
    )
    ids = session.scalars(query).all()
    hot.batch_of(session).read_leases(session, ids)
    return [held for lease in ids if (held := _find(session, lease, study)) is not None]


def list_expired(
    session: Session,
    *,
    now: datetime,
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> Sequence[tuple[str, int, datetime]]:
    """Ids of leases that ran out, each with its study's id and the time; nothing is locked.

    The oldest come first, beginning after the time and id of one that is known.
    """
    query = (
        select(Attempt.id, Trial.study_id, Attempt.expires_at)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Attempt.ended_at.is_(None), Attempt.expires_at < now)
        .order_by(Attempt.expires_at, Attempt.id)
        .limit(limit)
    )
    if after is not None:
        moment, lease = after
        later = and_(Attempt.expires_at == moment, Attempt.id > lease)
        query = query.where(or_(Attempt.expires_at > moment, later))
    return [(lease, study_id, moment) for lease, study_id, moment in session.execute(query)]


def expired(session: Session, lease: str, study: Study, *, now: datetime) -> Held | None:
    """The lease of a locked study, if it is still held and has run out."""
    held = _find(session, lease, study)
    if held is None or held.attempt.ended_at is not None or held.attempt.expires_at >= now:
        return None
    return held


def count_losses(session: Session, trial: HeldTrial) -> int:
    """How many of the trial's leases ended without the worker giving it back."""
    hot.write(session)  # the one that has just ended is among them
    return int(
        session.scalar(
            select(func.count())
            .select_from(Attempt)
            .join(Trial, Trial.id == Attempt.trial_id)
            .where(Attempt.trial_id == trial.id, Attempt.outcome.in_(LOSSES), _COUNTS)
        )
        or 0
    )


def who_lost(session: Session, trial: HeldTrial) -> tuple[str, ...]:
    """Names of the workers of the leases that `count_losses` counts, the first one first."""
    found = session.scalars(
        select(Worker.name)
        .join(Attempt, Attempt.worker_id == Worker.id)
        .join(Trial, Trial.id == Attempt.trial_id)
        .where(Attempt.trial_id == trial.id, Attempt.outcome.in_(LOSSES), _COUNTS)
        .order_by(Attempt.number)
    )
    return tuple(dict.fromkeys(found))


def count_returns(session: Session, trial: HeldTrial, worker_id: int) -> int:
    """How many of the trial's attempts a worker ended with an error and without an end of it."""
    hot.write(session)
    return int(
        session.scalar(
            select(func.count())
            .select_from(Attempt)
            .join(Trial, Trial.id == Attempt.trial_id)
            .where(
                Attempt.trial_id == trial.id,
                _COUNTS,
                Attempt.worker_id == worker_id,
                Attempt.error.is_not(None),
                Attempt.outcome.not_in(LOSSES),
            )
        )
        or 0
    )


def trained_elsewhere(session: Session, study_id: int, worker_id: int) -> bool:
    """Whether another worker has reported a step of any trial of the study."""
    hot.write(session)
    reported = (
        select(Attempt.id)
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Report, (Report.trial_id == Trial.id) & (Report.attempt == Attempt.number))
        .where(Trial.study_id == study_id, Attempt.worker_id != worker_id)
        .limit(1)
    )
    return session.scalar(reported) is not None


def history(session: Session, trial_id: int) -> Sequence[tuple[Attempt, Worker]]:
    """Every lease of a trial with its worker, in order."""
    query = (
        select(Attempt, Worker)
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(Attempt.trial_id == trial_id)
        .order_by(Attempt.number)
    )
    return [(attempt, worker) for attempt, worker in session.execute(query)]


def last_log(
    session: Session, trial_id: int, number: int | None
) -> tuple[Attempt, str, AttemptLog | None] | None:
    """An attempt of a trial, the last one for None, with its worker's name and its log."""
    query = (
        select(Attempt, Worker.name, AttemptLog)
        .join(Worker, Worker.id == Attempt.worker_id)
        .outerjoin(AttemptLog, AttemptLog.attempt_id == Attempt.id)
        .where(Attempt.trial_id == trial_id)
        .order_by(Attempt.number.desc())
        .limit(1)
    )
    if number is not None:
        query = query.where(Attempt.number == number)
    row = session.execute(query).first()
    return None if row is None else (row[0], row[1], row[2])


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
