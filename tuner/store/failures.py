"""Why trials of a study failed, and whether any of them has a metric that the study needs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from tuner.spec.states import TrialState
from tuner.store.tables import Trial

Failed = Row[int, str | None, str | None, str, int, dict[str, Any]]


def first(session: Session, study_id: int) -> Trial | None:
    """The trial of a study that failed before all others; None while none has."""
    return session.scalar(
        select(Trial)
        .where(Trial.study_id == study_id, Trial.state == TrialState.FAILED)
        .order_by(Trial.finished_at, Trial.number)
        .limit(1)
    )


def kinds(session: Session, study_id: int) -> dict[str, list[int]]:
    """Numbers of a study's failed trials by their error kind, "" for none, in order of failure."""
    found = dict[str, list[int]]()
    rows = session.execute(
        select(Trial.error_kind, Trial.number)
        .where(Trial.study_id == study_id, Trial.state == TrialState.FAILED)
        .order_by(Trial.finished_at, Trial.number)
    )
    for kind, number in rows:
        found.setdefault(kind or "", []).append(number)
    return found


def earliest(session: Session, study_id: int, most: int) -> Sequence[Failed]:
    """Of the trials of a study that failed first: number, kind, error, reason, step and params."""
    return session.execute(
        select(Trial.number, Trial.error_kind, Trial.error, Trial.reason, Trial.step, Trial.params)
        .where(Trial.study_id == study_id, Trial.state == TrialState.FAILED)
        .order_by(Trial.finished_at, Trial.number)
        .limit(most)
    ).all()


def furthest(session: Session, study_id: int) -> int:
    """The last step that any trial of a study reported which has not failed; 0 for none."""
    query = select(func.max(Trial.step)).where(
        Trial.study_id == study_id, Trial.state != TrialState.FAILED
    )
    return session.scalar(query) or 0


def some_value(session: Session, study_id: int, metric: str) -> bool:
    """Whether the last report of some trial has the metric, above 0."""
    query = (
        select(Trial.id)
        .where(Trial.study_id == study_id, Trial.metrics[metric].as_float() > 0)
        .limit(1)
    )
    return session.scalar(query) is not None
