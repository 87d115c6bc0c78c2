"""The page of the queue, and the changes that it offers."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.deps import Fields
from api.dashboard.queue_page import queue_page
from api.deps import App, Db, StudyRef
from tuner.errors import InvalidInput, Problem
from tuner.service import studies
from tuner.spec.views import StudyChange

router = APIRouter()


@router.get("/queue")
def show_queue(request: Request, db: Db) -> Response:
    """What waits for workers, and why."""
    return render.page(request, "queue/page.html", queue_page(db))


@router.get("/partials/queue")
def show_queue_live(request: Request, db: Db) -> Response:
    """What changes on the page of the queue."""
    return render.page(request, "queue/live.html", queue_page(db))


@router.post("/queue/{study}/priority")
def change_priority(app: App, study: StudyRef, fields: Fields) -> Response:
    """Give a study another priority, and go back to the queue. Raises InvalidInput."""
    given = fields.get("priority", "")
    if not (given.isascii() and given.isdecimal() and int(given[:4]) <= 100):
        message = f"'{given[:20]}' is not a priority; give a whole number from 0 to 100"
        raise InvalidInput([Problem(("priority",), message)])
    studies.change(app.db, study, StudyChange(priority=int(given)))
    app.notify()
    return RedirectResponse("/queue", 303)
