"""Rows of workers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tuner.store import hot
from tuner.store.held import KnownWorker
from tuner.store.tables import Attempt, Study, Trial, Worker

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


def list_all(session: Session) -> Sequence[tuple[Worker, Trial | None, Study | None]]:
    """Every worker with each trial and study it holds, the last seen first."""
    query = (
        select(Worker, Trial, Study)
        .outerjoin(Attempt, (Attempt.worker_id == Worker.id) & Attempt.ended_at.is_(None))
        .outerjoin(Trial, Trial.id == Attempt.trial_id)
        .outerjoin(Study, Study.id == Trial.study_id)
        .order_by(Worker.last_seen_at.desc(), Worker.name, Attempt.started_at)
    )
    return [(worker, trial, study) for worker, trial, study in session.execute(query)]
