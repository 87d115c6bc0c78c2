"""Workers: which there are, what they are doing and have lost; drained, and let go on."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.deps import App, Cursor, Db, Limit
from tuner.service import fleet, overview
from tuner.spec.fleet import LostTrial, WorkerView
from tuner.spec.messages import WorkerName
from tuner.spec.views import Page

router = APIRouter(prefix="/workers", tags=["workers"])
WorkerRef = Annotated[WorkerName, Path(description="Name of a worker")]


@router.get("")
def list_workers(db: Db) -> tuple[WorkerView, ...]:
    """Every worker that has asked for a trial."""
    return overview.workers(db)


@router.get("/lost")
def list_lost_trials(
    db: Db,
    worker: Annotated[WorkerName | None, Query(description="Of this worker alone")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[LostTrial]:
    """Attempts whose lease ran out or whose trainer died or hung, the last ones first."""
    return fleet.lost(db, worker=worker, cursor=cursor, limit=limit)


@router.post("/{worker}/drain")
def drain_worker(app: App, worker: WorkerRef) -> WorkerView:
    """Let a worker end the trial that it has, and give it no other."""
    view = fleet.drain(app.db, worker)
    app.changes.notify()
    return view


@router.post("/{worker}/undrain")
def undrain_worker(app: App, worker: WorkerRef) -> WorkerView:
    """Give a drained worker trials again."""
    view = fleet.undrain(app.db, worker)
    app.notify()
    return view
