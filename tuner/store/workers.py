"""Rows of workers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tuner.store.tables import Attempt, Study, Trial, Worker


def seen(session: Session, name: str, capabilities: Mapping[str, Any], *, now: datetime) -> Worker:
    """The worker of that name, noted as alive; inserted when it is new."""
    named = select(Worker).where(Worker.name == name)
    worker = session.scalar(named) or _insert(session, name, now=now)
    if worker is None:  # another request of the same name came first
        worker = session.scalars(named).one()
    worker.capabilities = dict(capabilities)
    worker.last_seen_at = now
    return worker


def _insert(session: Session, name: str, *, now: datetime) -> Worker | None:
    worker = Worker(name=name, capabilities={}, first_seen_at=now, last_seen_at=now, trials_done=0)
    try:
        with session.begin_nested():
            session.add(worker)
            session.flush()
    except IntegrityError:
        return None
    return worker


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
