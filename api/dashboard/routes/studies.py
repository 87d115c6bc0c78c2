"""The list of studies, and how one that was deleted comes back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.deps import Fields
from api.dashboard.forms import local_path
from api.dashboard.study_list import ListQuery, study_list
from api.deps import App, Cursor, Db, StudyRef
from tuner.service import studies
from tuner.service.study_lists import StudySort
from tuner.spec.states import StudyState

router = APIRouter()


# A coroutine, because FastAPI sends plain functions through its thread pool.
async def _query(  # one argument for each query parameter of the list
    *,
    search: Annotated[str, Query(max_length=200)] = "",
    state: StudyState | None = None,
    sort: StudySort = "created",
    descending: bool | None = None,
    cursor: Cursor = None,
    skipped: Annotated[int, Query(ge=0)] = 0,
) -> ListQuery:
    return ListQuery(" ".join(search.split()), state, sort, descending, cursor, skipped)


Listed = Annotated[ListQuery, Depends(_query)]


@router.get("/")
def list_studies(request: Request, db: Db, query: Listed) -> Response:
    """The list of studies."""
    return render.page(request, "studies/page.html", study_list(db, query))


@router.get("/partials/studies")
def list_studies_live(request: Request, db: Db, query: Listed) -> Response:
    """What changes on the list of studies."""
    return render.page(request, "studies/live.html", study_list(db, query))


@router.post("/studies/{study}/restore")
def restore_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """Bring a deleted study back, and go where its row or page is."""
    view = studies.restore(app.db, study)
    app.notify()
    target = fields.get("next")
    return RedirectResponse(local_path(target) if target else f"/studies/{view.id}", 303)
