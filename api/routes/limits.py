"""What holds the fleet back: maintenance, and hours of owners; an admin decides both."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import App, Db, MaintenanceBody, OwnerBody
from tuner.service import limits
from tuner.spec.access import MaintenanceView, OwnerView, TokenName

router = APIRouter(tags=["tokens"])
OwnerRef = Annotated[TokenName, Path(description="Name of an owner, as their tokens have it")]


@router.get("/owners")
def list_owners(db: Db) -> tuple[OwnerView, ...]:
    """Everyone who owns a study or has a limit, with the device hours that they have spent."""
    return limits.owners(db)


@router.put("/owners/{owner}")
def limit_owner(app: App, owner: OwnerRef, request: OwnerBody) -> OwnerView:
    """Let an owner's studies train so many device hours; then no further trial is given out."""
    view = limits.limit_owner(app.db, owner, request)
    app.notify()
    return view


@router.get("/maintenance")
def get_maintenance(db: Db) -> MaintenanceView:
    """Whether trials are given out."""
    return limits.maintenance(db)


@router.put("/maintenance")
def begin_maintenance(app: App, request: MaintenanceBody) -> MaintenanceView:
    """Give out no trial any more; what runs goes on, and studies can be submitted."""
    return limits.begin_maintenance(app.db, request)


@router.delete("/maintenance")
def end_maintenance(app: App) -> MaintenanceView:
    """Give out trials again, at once to workers that wait."""
    view = limits.end_maintenance(app.db)
    app.notify()
    return view
