"""The page of the fleet."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from api.dashboard import render
from api.deps import Db
from api.prefix import prefix_of
from tuner.service import overview
from tuner.spec.fleet import WorkerView

router = APIRouter()


@dataclass(frozen=True, slots=True)
class WorkersPage:
    """Context of the templates `workers/page.html` and `workers/live.html`."""

    workers: tuple[WorkerView, ...]
    server: str


@router.get("/workers")
def list_workers(request: Request, db: Db) -> Response:
    """The fleet."""
    return render.page(request, "workers/page.html", _workers(request, db))


@router.get("/partials/workers")
def list_workers_live(request: Request, db: Db) -> Response:
    """What changes on the page of the fleet."""
    return render.page(request, "workers/live.html", _workers(request, db))


def _workers(request: Request, db: Db) -> WorkersPage:
    return WorkersPage(overview.workers(db), server=_address(request))


def _address(request: Request) -> str:
    return str(request.base_url).rstrip("/") + prefix_of(request)
