"""How an admin holds the fleet back: maintenance, and hours of owners."""

from tuner.service import acting
from tuner.spec.access import (
    DeedKind,
    MaintenanceRequest,
    MaintenanceView,
    OwnerChange,
    OwnerView,
)
from tuner.store import limits
from tuner.store.engine import Database
from tuner.store.limits import OwnerHours
from tuner.store.tables import Maintenance


def owners(db: Database) -> tuple[OwnerView, ...]:
    """Everyone who owns a study or has a limit."""
    with db.snapshot() as session:
        return tuple(_view(owner, had) for owner, had in limits.owners(session).items())


def limit_owner(db: Database, owner: str, change: OwnerChange) -> OwnerView:
    """Let an owner's studies train so many device hours.

    Once they are spent no further trial of theirs is given out; what runs goes on.
    """
    with db.transaction() as session:
        limits.limit(session, owner, change.hours)
        hours = {"hours": change.hours}
        acting.note(session, DeedKind.LIMIT, owner, now=db.now(), details=hours)
        known = limits.owners(session)
        return _view(owner, known.get(owner, OwnerHours(0, 0.0, None)))


def maintenance(db: Database) -> MaintenanceView:
    """Whether trials are given out."""
    with db.snapshot() as session:
        return _state(limits.maintenance(session))


def begin_maintenance(db: Database, request: MaintenanceRequest) -> MaintenanceView:
    """Give out no trial any more; what runs goes on, and studies can be submitted."""
    with db.transaction() as session:
        now = db.now()
        row = limits.begin_maintenance(session, request.reason, now=now)
        acting.note(session, DeedKind.HOLD, "server", now=now, details={"reason": request.reason})
        return _state(row)


def end_maintenance(db: Database) -> MaintenanceView:
    """Give out trials again."""
    with db.transaction() as session:
        if limits.end_maintenance(session):
            acting.note(session, DeedKind.RELEASE, "server", now=db.now())
        return _state(None)


def _view(owner: str, had: OwnerHours) -> OwnerView:
    return OwnerView(
        owner=owner, studies=had.studies, hours=round(had.seconds / 3600, 4), limit=had.limit
    )


def _state(row: Maintenance | None) -> MaintenanceView:
    if row is None:
        return MaintenanceView(is_on=False)
    return MaintenanceView(is_on=True, reason=row.reason, since=row.since)
