"""Rows of attempts that were asked to give their workers up, and of those that could be."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session, aliased

from tuner.spec.messages import OutcomeKind
from tuner.store.tables import Attempt, Study, Trial, Worker


class RunningAttempt(NamedTuple):
    """A lease that has not ended, with its worker, and where its trial stands."""

    lease: str
    worker: str
    study_id: int
    since: datetime
    yields_to: int | None
    step: int
    epochs: int
    verdict: dict[str, Any]


def running(session: Session) -> list[RunningAttempt]:
    """Every lease that has not ended, the oldest first."""
    query = (
        select(
            Attempt.id,
            Worker.name,
            Trial.study_id,
            Attempt.started_at,
            Attempt.yields_to,
            Trial.step,
            Trial.epochs,
            Trial.verdict,
        )
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(Attempt.ended_at.is_(None))
        .order_by(Attempt.started_at, Attempt.id)
    )
    return [RunningAttempt(*row) for row in session.execute(query)]


def refusals(session: Session, *, since: datetime) -> frozenset[tuple[str, int]]:
    """Workers that gave a trial up for a study since then and have taken none of it: name and id.

    They may be bound to other studies, or were overtaken by another worker.
    """
    later, its = aliased(Attempt), aliased(Trial)
    took = (
        exists()
        .where(
            later.worker_id == Attempt.worker_id,
            later.started_at >= Attempt.ended_at,
            its.id == later.trial_id,
            its.study_id == Attempt.yields_to,
        )
        .correlate(Attempt)
    )
    query = (
        select(Worker.name, Attempt.yields_to)
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(
            Attempt.yields_to.is_not(None),
            Attempt.outcome == OutcomeKind.YIELDED,
            Attempt.ended_at >= since,
            ~took,
        )
    )
    return frozenset((name, study) for name, study in session.execute(query) if study is not None)


def count_asked(session: Session) -> dict[int, int]:
    """How many running trials make room for a study, by its id."""
    query = (
        select(Attempt.yields_to, func.count())
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Study, Study.id == Trial.study_id)
        .where(
            Attempt.yields_to.is_not(None), Attempt.ended_at.is_(None), Study.deleted_at.is_(None)
        )
        .group_by(Attempt.yields_to)
    )
    return {study: count for study, count in session.execute(query) if study is not None}


def note(session: Session, lease: str, study: int | None) -> None:
    """Write down for which study a lease of a locked study is asked to end; None: for none."""
    session.execute(update(Attempt).where(Attempt.id == lease).values(yields_to=study))
