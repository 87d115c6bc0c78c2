"""How params and results relate, on a study's page; and the filters that a brush or form writes."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from api.dashboard import render
from api.dashboard.deps import Narrowing, Table
from api.dashboard.narrowing import narrowed
from api.dashboard.relations_panel import relations_page
from api.deps import Db, StudyRef
from tuner.service.charts.points import trial_fields

router = APIRouter()


@router.get("/partials/studies/{study}/relations")
def show_relations(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """The chart that the address asks for, for a page to change to without a reload."""
    return render.page(request, "study/relations.html", relations_page(db, study, query))


@router.get("/partials/studies/{study}/narrow")
def say_narrowed(db: Db, study: StudyRef, query: Table, form: Narrowing) -> Response:
    """The filter with what a brush says of one axis."""
    text = narrowed(query.filter, trial_fields(db, study), form.name, form.region)
    return JSONResponse({"filter": text}, headers=dict(render.HEADERS))


@router.get("/studies/{study}/narrow")
def narrow(db: Db, study: StudyRef, query: Table, form: Narrowing) -> Response:
    """Write what a form says of one axis into the filter, and go back to the page."""
    text = narrowed(query.filter, trial_fields(db, study), form.name, form.region)
    return RedirectResponse(f"/studies/{study}{query.filtered(text).text}#relations", 303)
