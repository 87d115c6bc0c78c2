"""Events: append-only, numbered per study under the study's row lock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.spec.events import EventKind
from tuner.store import hot
from tuner.store.tables import Event, Study


def append(
    session: Session,
    study: Study,
    kind: EventKind,
    *,
    now: datetime,
    trial: int | None = None,
    **data: Any,
) -> int:
    """Add an event to a locked study; give its number within the study."""
    study.event_seq += 1
    hot.batch_of(session).new_events.append(
        {
            "study_id": study.id,
            "seq": study.event_seq,
            "kind": kind,
            "trial": trial,
            "data": data,
            "created_at": now,
        }
    )
    return study.event_seq


def after(session: Session, study_id: int, seq: int, *, limit: int) -> Sequence[Event]:
    """Events with a higher number, in order."""
    return session.scalars(
        select(Event)
        .where(Event.study_id == study_id, Event.seq > seq)
        .order_by(Event.seq)
        .limit(limit)
    ).all()
