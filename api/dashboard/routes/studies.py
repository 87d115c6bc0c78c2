"""The list of studies, and how one that was deleted comes back."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.deps import Fields, Listing
from api.dashboard.forms import local_path
from api.dashboard.study_list import study_list
from api.deps import App, Db, StudyRef
from tuner.service import studies

router = APIRouter()


@router.get("/")
def list_studies(request: Request, db: Db, query: Listing) -> Response:
    """The list of studies."""
    return render.page(request, "studies/page.html", study_list(db, query))


@router.get("/partials/studies")
def list_studies_live(request: Request, db: Db, query: Listing) -> Response:
    """What changes on the list of studies."""
    return render.page(request, "studies/live.html", study_list(db, query))


@router.post("/studies/{study}/restore")
def restore_study(app: App, study: StudyRef, fields: Fields) -> Response:
    """Bring a deleted study back, and go where its row or page is."""
    view = studies.restore(app.db, study)
    app.notify()
    target = fields.get("next")
    return RedirectResponse(local_path(target) if target else f"/studies/{view.id}", 303)
