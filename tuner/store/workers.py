"""Rows of workers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from tuner.errors import NotFound
from tuner.store import hot
from tuner.store.held import KnownWorker
from tuner.store.leases import LOSSES
from tuner.store.tables import Attempt, Report, Study, Trial, Worker

_WORKERS: Table = Worker.__table__  # type: ignore[assignment]  # a table, typed as any FROM


def seen(
    session: Session, name: str, capabilities: Mapping[str, Any], *, now: datetime
) -> KnownWorker:
    """The worker of that name, noted as alive; inserted when it is new."""
    batch = hot.batch_of(session)
    batch.read_workers(session, [name])
    if name not in batch.workers:
        _insert(session, name, capabilities, now=now)
        batch.read_workers(session, [name])  # inserted just now, by us or by another request
    worker = batch.workers[name]
    if worker.capabilities != capabilities:
        changed = update(_WORKERS).where(_WORKERS.c.id == worker.id)
        session.execute(changed.values(capabilities=dict(capabilities)))
        batch.workers[name] = worker._replace(capabilities=dict(capabilities))
    batch.saw(worker.id, now=now)
    return batch.workers[name]


def set_unfit(session: Session, worker: Worker | KnownWorker, unfit: dict[str, Any] | None) -> None:
    """Write down what keeps a worker from training; None where nothing does."""
    if isinstance(worker, Worker):
        worker.unfit = unfit
    elif unfit != worker.unfit:
        changed = update(_WORKERS).where(_WORKERS.c.id == worker.id)
        session.execute(changed.values(unfit=unfit))


def find(session: Session, name: str) -> Worker:
    """The worker of that name. Raises NotFound."""
    worker = session.scalar(select(Worker).where(Worker.name == name))
    if worker is None:
        raise NotFound(unknown(name))
    return worker


def unknown(name: str) -> str:
    """What to say of a name that no worker has."""
    return f"no worker is called '{name}'; `segtune workers` lists them"


def set_drained(session: Session, name: str, since: datetime | None) -> Worker:
    """Let a worker have no further trial since then, or trials again. Raises NotFound."""
    worker = find(session, name)
    worker.drained_at = since
    return worker


def ended(session: Session, worker_id: int, *, is_done: bool, now: datetime) -> None:
    """Note that a worker has ended its lease, and whether its trial has ended too."""
    hot.batch_of(session).saw(worker_id, now=now, done=int(is_done))


def _insert(session: Session, name: str, capabilities: Mapping[str, Any], *, now: datetime) -> None:
    values = {"name": name, "capabilities": dict(capabilities), "trials_done": 0}
    with suppress(IntegrityError), session.begin_nested():  # another request may come first
        session.execute(insert(_WORKERS), {**values, "first_seen_at": now, "last_seen_at": now})


def may_be_unfit(session: Session, lease: str) -> bool:
    """Whether anything is written down that keeps the worker of a lease from training."""
    return lease in hot.batch_of(session).unfit


def living(session: Session, *, since: datetime) -> Sequence[Worker]:
    """Workers that hold a lease, or asked for one since then."""
    held = select(Attempt.id).where(Attempt.worker_id == Worker.id, Attempt.ended_at.is_(None))
    return session.scalars(
        select(Worker).where(or_(Worker.last_seen_at >= since, held.exists())).order_by(Worker.name)
    ).all()


class WorkerRow(NamedTuple):
    """A worker with a lease that it holds, if it holds one, and what was last reported under it."""

    worker: Worker
    attempt: Attempt | None
    trial: Trial | None
    study: Study | None
    metrics: Mapping[str, Any] | None


def list_all(session: Session) -> Sequence[WorkerRow]:
    """Every worker with each trial and study it holds, the last seen first."""
    query = (
        select(Worker, Attempt, Trial, Study, Report.metrics)
        .outerjoin(Attempt, (Attempt.worker_id == Worker.id) & Attempt.ended_at.is_(None))
        .outerjoin(Trial, Trial.id == Attempt.trial_id)
        .outerjoin(Study, Study.id == Trial.study_id)
        .outerjoin(
            Report,
            (Report.trial_id == Trial.id)
            & (Report.step == Trial.step)
            & (Report.attempt == Attempt.number),
        )
        .order_by(Worker.last_seen_at.desc(), Worker.name, Attempt.started_at)
    )
    return [WorkerRow(*row) for row in session.execute(query)]


def busy(session: Session) -> frozenset[int]:
    """Ids of the workers that hold a lease."""
    return frozenset(session.scalars(select(Attempt.worker_id).where(Attempt.ended_at.is_(None))))


def count_lost(session: Session) -> dict[int, int]:
    """How many attempts each worker has lost, by its id."""
    query = (
        select(Attempt.worker_id, func.count())
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Study, Study.id == Trial.study_id)
        .where(Attempt.outcome.in_(LOSSES), Study.deleted_at.is_(None))
        .group_by(Attempt.worker_id)
    )
    return dict(session.execute(query).all())


class LostAttempt(NamedTuple):
    """An attempt that was lost, its trial as it is now, and the attempt after it."""

    attempt: Attempt
    worker: str
    trial: Trial
    study: str
    next_attempt: int | None
    next_worker: str | None


def list_lost(
    session: Session,
    *,
    worker: str | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[LostAttempt]:
    """Attempts that were lost, the last ones first, from the time and id of one that is known."""
    following, taker = aliased(Attempt), aliased(Worker)
    query = (
        select(Attempt, Worker.name, Trial, Study.name, following.number, taker.name)
        .join(Worker, Worker.id == Attempt.worker_id)
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Study, Study.id == Trial.study_id)
        .outerjoin(
            following,
            (following.trial_id == Attempt.trial_id) & (following.number == Attempt.number + 1),
        )
        .outerjoin(taker, taker.id == following.worker_id)
        .where(
            Attempt.outcome.in_(LOSSES),
            Attempt.ended_at.is_not(None),
            Study.deleted_at.is_(None),
        )
        .order_by(Attempt.ended_at.desc(), Attempt.id.desc())
        .limit(limit)
    )
    if worker is not None:
        query = query.where(Worker.name == worker)
    if before is not None:
        moment, lease = before
        earlier = and_(Attempt.ended_at == moment, Attempt.id < lease)
        query = query.where(or_(Attempt.ended_at < moment, earlier))
    return [LostAttempt(*row) for row in session.execute(query)]
