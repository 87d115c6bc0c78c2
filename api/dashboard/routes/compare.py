"""The page that compares trials."""

from fastapi import APIRouter, Request, Response

from api.dashboard import render
from api.dashboard.compare_page import OverlayData, compare_page, overlay_data
from api.dashboard.deps import CompareAddress
from api.deps import Db

router = APIRouter()


@router.get("/compare")
def show_comparison(request: Request, db: Db, query: CompareAddress) -> Response:
    """Trials beside each other, of one study or several."""
    return render.page(request, "compare/page.html", compare_page(db, query))


@router.get("/partials/compare")
def show_comparison_live(request: Request, db: Db, query: CompareAddress) -> Response:
    """What changes on the page that compares trials."""
    return render.page(request, "compare/live.html", compare_page(db, query))


@router.get("/partials/compare/curves")
def show_compared_curves(db: Db, query: CompareAddress) -> OverlayData:
    """Learning curves of the compared trials, for the interactive chart."""
    return overlay_data(db, query)
