"""Trials as a search sees them: a few columns of those that changed, without the ORM."""

from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.store.tables import Study, Trial


class Seen(NamedTuple):
    """A trial as a search sees it, but for its reports."""

    number: int
    state: str
    source: str
    params: dict[str, Any]
    attrs: dict[str, Any]
    step: int
    epochs: int
    metrics: dict[str, Any]
    seconds: float
    error_kind: str | None
    data_version: str | None


_SEEN = [Trial.__table__.c[name] for name in Seen._fields]


def changed_since(session: Session, study: Study, revision: int) -> list[Seen]:
    """Trials whose state changed after that event of the study, by number."""
    trials = Trial.__table__.c
    query = (
        select(*_SEEN)
        .where(trials.study_id == study.id, trials.revision > revision)
        .order_by(trials.number)
    )
    return [Seen(*row) for row in session.execute(query)]
