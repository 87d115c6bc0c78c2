"""What holds the fleet back: maintenance, and owners whose hours are spent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.store import statements
from tuner.store.tables import Maintenance, OwnerLimit, Study

_ONE = 1  # the id of the row


class HeldBack(NamedTuple):
    """Why trials are not given out now."""

    maintenance: str | None = None  # its reason, which may be empty; None: there is none
    spent: Mapping[str, float] = {}  # owners by the hours that they had


class OwnerHours(NamedTuple):
    """What the studies of an owner have trained, and may."""

    studies: int
    seconds: float
    limit: float | None  # hours


def read(session: Session) -> HeldBack:
    """What holds the fleet back now."""
    return from_rows(session.execute(statements.LIMITS).all())


def from_rows(rows: Sequence[Sequence[Any]]) -> HeldBack:
    """What rows of `statements.LIMITS` say."""
    spent = {owner: float(hours) for owner, hours, _ in rows if owner is not None}
    reason = next((reason for owner, _, reason in rows if owner is None), None)
    return HeldBack(reason, spent)


def maintenance(session: Session) -> Maintenance | None:
    """The maintenance that is on; None while there is none."""
    return session.get(Maintenance, _ONE)


def begin_maintenance(session: Session, reason: str, *, now: datetime) -> Maintenance:
    """Give out no trial from now on; maintenance that is on only gets another reason."""
    row = maintenance(session)
    if row is None:
        row = Maintenance(id=_ONE, reason=reason, since=now)
        session.add(row)
    row.reason = reason
    session.flush()
    return row


def end_maintenance(session: Session) -> bool:
    """Give out trials again; whether they were not."""
    row = maintenance(session)
    if row is not None:
        session.delete(row)
        session.flush()
    return row is not None


def limit(session: Session, owner: str, hours: float | None) -> None:
    """Let an owner's studies train so many device hours, or as many as they like."""
    row = session.get(OwnerLimit, owner)
    if hours is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(OwnerLimit(owner=owner, hours=hours))
    else:
        row.hours = hours
    session.flush()


def owners(session: Session) -> dict[str, OwnerHours]:
    """Everyone who owns a study or has a limit, by name."""
    trained = session.execute(
        select(Study.owner, func.count(), func.sum(Study.seconds))
        .where(Study.owner.is_not(None))
        .group_by(Study.owner)
    )
    found = {
        owner: OwnerHours(count, float(total or 0), None)
        for owner, count, total in trained
        if owner is not None
    }
    for row in session.scalars(select(OwnerLimit)):
        found[row.owner] = found.get(row.owner, OwnerHours(0, 0.0, None))._replace(limit=row.hours)
    return dict(sorted(found.items()))
