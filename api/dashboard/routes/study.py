"""The page of one study, and what becomes of the trials that are selected on it."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import addresses, render
from api.dashboard.analysis import analysis_page
from api.dashboard.deps import Lists, Table
from api.dashboard.importance_panel import importance_panel
from api.dashboard.study_page import study_page
from api.dashboard.table_panel import table_panel
from api.deps import App, Db, StudyRef
from tuner.service import overview, studies
from tuner.service.importance import Method

router = APIRouter()


@router.get("/studies/{study}")
def show_study(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """One study."""
    return render.page(request, "study/page.html", study_page(db, study, query))


@router.get("/partials/studies/{study}")
def show_study_live(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """What changes on the page of a study."""
    page = study_page(db, study, query, whole=False)
    return render.page(request, "study/live.html", page)


@router.get("/partials/studies/{study}/analysis")
def show_analysis(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """The analysis that is open on the page of a study."""
    return render.page(request, "study/analysis.html", analysis_page(db, study, query))


@router.get("/partials/studies/{study}/trials")
def show_trials(request: Request, db: Db, study: StudyRef, query: Table) -> Response:
    """The table of trials alone, for another filter, order or page of it."""
    return render.page(request, "study/trials.html", table_panel(db, study, query))


@router.get("/partials/studies/{study}/importance")
def show_importance(
    request: Request,
    app: App,
    study: StudyRef,
    method: Method = "ped_anova",
) -> Response:
    """Which params mattered, for the page of a study to add when it is there."""
    context = importance_panel(app.db, app.importance, study, method)
    return render.page(request, "study/importance.html", context)


@router.post("/studies/{study}/trials/cancel")
def cancel_trials(app: App, study: StudyRef, query: Table, fields: Lists) -> Response:
    """Cancel the selected trials that have not ended, and go back to the table."""
    view = overview.study(app.db, study)
    chosen = addresses.of_study(addresses.parse(fields.get("trials", ())), view.id)
    studies.cancel_trials(app.db, view.id, chosen)
    app.notify()
    return RedirectResponse(f"/studies/{view.id}{replace(query, selected=()).text}#trials", 303)
