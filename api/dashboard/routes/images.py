"""The page of a study's images, and what scripts ask to show those of a trial."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.dashboard import render
from api.dashboard.deps import Images
from api.dashboard.images_page import images_page
from api.deps import Db, StudyRef, TrialNumber
from tuner.service import examples

router = APIRouter()


@router.get("/studies/{study}/images")
def show_images(request: Request, db: Db, study: StudyRef, query: Images) -> Response:
    """The same validation images across trials."""
    return render.page(request, "images/page.html", images_page(db, study, query))


@router.get("/partials/studies/{study}/images")
def show_images_live(request: Request, db: Db, study: StudyRef, query: Images) -> Response:
    """What changes on the page of a study's images."""
    return render.page(request, "images/live.html", images_page(db, study, query))


@router.get("/partials/studies/{study}/trials/{number}/examples")
def get_sheets(db: Db, study: StudyRef, number: TrialNumber) -> Response:
    """A trial's sheets, for the viewer."""
    found = examples.of_trial(db, study, number)
    return JSONResponse(found.model_dump(mode="json"), headers={"Cache-Control": "no-store"})
