"""The list of studies."""

from fastapi import APIRouter, Request, Response

from api.dashboard import render
from api.dashboard.study_list import study_list
from api.deps import Cursor, Db
from tuner.spec.states import StudyState

router = APIRouter()


@router.get("/")
def list_studies(
    request: Request, db: Db, *, state: StudyState | None = None, cursor: Cursor = None
) -> Response:
    """The list of studies, newest first."""
    return render.page(request, "studies/page.html", study_list(db, state, cursor))


@router.get("/partials/studies")
def list_studies_live(
    request: Request, db: Db, *, state: StudyState | None = None, cursor: Cursor = None
) -> Response:
    """What changes on the list of studies."""
    return render.page(request, "studies/live.html", study_list(db, state, cursor))
