"""Why trials of a study failed, and whether any of them has a metric that the study needs."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.spec.states import TrialState
from tuner.store.tables import Trial


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


def some_value(session: Session, study_id: int, metric: str) -> bool:
    """Whether the last report of some trial has the metric, above 0."""
    query = (
        select(Trial.id)
        .where(Trial.study_id == study_id, Trial.metrics[metric].as_float() > 0)
        .limit(1)
    )
    return session.scalar(query) is not None
