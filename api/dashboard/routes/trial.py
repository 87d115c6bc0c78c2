"""The page of one trial."""

from fastapi import APIRouter, Request, Response

from api.dashboard import render
from api.dashboard.trial_page import trial_page
from api.deps import Db, StudyRef, TrialNumber

router = APIRouter()


@router.get("/studies/{study}/trials/{number}")
def show_trial(request: Request, db: Db, study: StudyRef, number: TrialNumber) -> Response:
    """One trial."""
    return render.page(request, "trial/page.html", trial_page(db, study, number))


@router.get("/partials/studies/{study}/trials/{number}")
def show_trial_live(request: Request, db: Db, study: StudyRef, number: TrialNumber) -> Response:
    """What changes on the page of a trial."""
    return render.page(request, "trial/live.html", trial_page(db, study, number))
