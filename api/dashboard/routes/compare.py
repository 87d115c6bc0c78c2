"""The page that compares trials."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.dashboard import addresses, render
from api.dashboard.compare_page import CompareQuery, OverlayData, compare_page, overlay_data
from api.deps import Db

router = APIRouter()
_MOST = 200  # fields of one name; eight are compared, the others noted
Addresses = Annotated[list[Annotated[str, Query(max_length=300)]] | None, Query(max_length=_MOST)]


# A coroutine, because FastAPI sends plain functions through its thread pool.
async def _query(
    *,
    trials: Addresses = None,
    metric: Annotated[str, Query(max_length=300)] = "",
    all_: Annotated[bool, Query(alias="all")] = False,
) -> CompareQuery:
    return CompareQuery(addresses.parse(trials or ()), metric.strip(), all_)


Asked = Annotated[CompareQuery, Depends(_query)]


@router.get("/compare")
def show_comparison(request: Request, db: Db, query: Asked) -> Response:
    """Trials beside each other, of one study or several."""
    return render.page(request, "compare/page.html", compare_page(db, query))


@router.get("/partials/compare")
def show_comparison_live(request: Request, db: Db, query: Asked) -> Response:
    """What changes on the page that compares trials."""
    return render.page(request, "compare/live.html", compare_page(db, query))


@router.get("/partials/compare/curves")
def show_compared_curves(db: Db, query: Asked) -> OverlayData:
    """Learning curves of the compared trials, for the interactive chart."""
    return overlay_data(db, query)
