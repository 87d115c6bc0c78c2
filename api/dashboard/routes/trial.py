"""The page of one trial, and the changes that it offers."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.dashboard import render
from api.dashboard.charts.multiples import Multiples
from api.dashboard.clone_form import CloneForm, clone_form, read, refused
from api.dashboard.deps import Fields, Shown
from api.dashboard.trial_page import trial_curves, trial_page
from api.dashboard.trial_query import TrialChoice
from api.deps import App, AttemptNumber, Db, StudyRef, TrialNumber
from tuner.errors import InvalidSpec
from tuner.service import details, overview, retries, studies, trial_logs

router = APIRouter()
_PAGE = "trial/page.html"


@router.get("/studies/{study}/trials/{number}")
def show_trial(
    request: Request, db: Db, study: StudyRef, number: TrialNumber, query: Shown
) -> Response:
    """One trial."""
    return render.page(request, _PAGE, trial_page(db, study, number, query))


@router.get("/partials/studies/{study}/trials/{number}")
def show_trial_live(
    request: Request, db: Db, study: StudyRef, number: TrialNumber, query: Shown
) -> Response:
    """What changes on the page of a trial."""
    return render.page(request, "trial/live.html", trial_page(db, study, number, query))


@router.get("/partials/studies/{study}/trials/{number}/curves")
def get_curves(db: Db, study: StudyRef, number: TrialNumber, query: Shown) -> Multiples:
    """The curves that the page shows, as numbers."""
    return trial_curves(db, study, number, query)


@router.get("/partials/studies/{study}/trials/{number}/confusion")
def get_confusion(
    db: Db, study: StudyRef, number: TrialNumber
) -> tuple[tuple[int, ...], ...] | None:
    """Counts of the matrix of the epoch that counts; a script tells the cell pointed at."""
    return overview.trial(db, study, number).confusion


@router.get("/studies/{study}/trials/{number}/log.txt")
def download_log(
    db: Db, study: StudyRef, number: TrialNumber, attempt: AttemptNumber = None
) -> Response:
    """The end of an attempt's log as a file."""
    log = trial_logs.show(db, study, number, attempt=attempt)
    name = f"trial-{number}-attempt-{log.attempt}.log"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **render.HEADERS}
    return Response(log.text, media_type="text/plain; charset=utf-8", headers=headers)


@router.post("/studies/{study}/trials/{number}/clone")
def clone_trial(
    request: Request, app: App, study: StudyRef, number: TrialNumber, fields: Fields
) -> Response:
    """Enqueue a trial with edited params and go to its page; or show what is wrong with them."""
    found = details.trial_detail(app.db, study, number)
    params, form = read(clone_form(found.study.spec, found.trial), fields)
    if form.is_wrong:
        return _show_wrong(request, app, study, number, form)
    try:
        view = studies.enqueue(app.db, study, params)
    except InvalidSpec as error:
        return _show_wrong(request, app, study, number, refused(form, error.problems))
    app.notify()
    return RedirectResponse(f"/studies/{view.study_id}/trials/{view.number}", 303)


@router.post("/studies/{study}/trials/{number}/{action}")
def change_trial(
    app: App, study: StudyRef, number: TrialNumber, action: Literal["cancel", "retry"]
) -> Response:
    """Cancel a trial or try it again, and go back to its page."""
    change = studies.cancel_trial if action == "cancel" else retries.retry
    view = change(app.db, study, number)
    app.notify()
    return RedirectResponse(f"/studies/{view.study_id}/trials/{view.number}", 303)


def _show_wrong(request: Request, app: App, study: str, number: int, form: CloneForm) -> Response:
    context = trial_page(app.db, study, number, TrialChoice(), form=form)
    return render.page(request, _PAGE, context, status=422)
