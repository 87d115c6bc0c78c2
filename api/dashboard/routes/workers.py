"""The page of the fleet, and the changes that it offers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.workers_page import workers_page
from api.deps import App, Cursor, Db
from api.prefix import prefix_of
from tuner.service import fleet
from tuner.spec.messages import WorkerName

router = APIRouter()
Lost = Annotated[WorkerName | None, Query()]


@router.get("/workers")
def list_workers(request: Request, db: Db, worker: Lost = None, cursor: Cursor = None) -> Response:
    """The fleet, and what one worker has lost or all have."""
    context = workers_page(db, worker=worker, cursor=cursor, server=_address(request))
    return render.page(request, "workers/page.html", context)


@router.get("/partials/workers")
def list_workers_live(
    request: Request, db: Db, worker: Lost = None, cursor: Cursor = None
) -> Response:
    """What changes on the page of the fleet."""
    context = workers_page(db, worker=worker, cursor=cursor, server=_address(request))
    return render.page(request, "workers/live.html", context)


@router.post("/workers/{worker}/{action}")
def change_worker(
    app: App, worker: Annotated[WorkerName, Path()], action: Literal["drain", "undrain"]
) -> Response:
    """Drain a worker, or give it trials again, and go back to the fleet."""
    if action == "drain":
        fleet.drain(app.db, worker)
    else:
        fleet.undrain(app.db, worker)
        app.work.notify()
    app.changes.notify()
    return RedirectResponse("/workers", 303)


def _address(request: Request) -> str:
    return str(request.base_url).rstrip("/") + prefix_of(request)
