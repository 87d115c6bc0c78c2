"""Rows of the audit trail."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.store.tables import Deed


class DeedRow(NamedTuple):
    """What is to be kept of a change."""

    caller: str
    owner: str | None
    action: str
    target: str
    study_id: int | None
    details: Mapping[str, Any]


def add(session: Session, row: DeedRow, *, now: datetime) -> None:
    """Keep what was done, in the transaction that does it."""
    values = {**row._asdict(), "details": dict(row.details)}
    session.add(Deed(**values, created_at=now))
    session.flush()


def newest(
    session: Session, *, before: int | None, study_id: int | None, limit: int
) -> Sequence[Deed]:
    """What was done, the last first, before that of an id; of one study or of all."""
    query = select(Deed).order_by(Deed.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Deed.id < before)
    if study_id is not None:
        query = query.where(Deed.study_id == study_id)
    return session.scalars(query).all()
