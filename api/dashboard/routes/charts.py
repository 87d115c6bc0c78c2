"""The data of interactive charts, as JSON for the page's own scripts."""

from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import TypeAdapter

from api.dashboard import render
from api.dashboard.chart_data import CHARTS, ChartRequest
from api.dashboard.deps import Table
from api.dashboard.table_panel import without_mistake
from api.deps import Db, StudyRef
from tuner.errors import NotFound

router = APIRouter()


@router.get("/partials/studies/{study}/charts/{name}")
def show_chart(  # one argument for each part of the address
    request: Request,
    db: Db,
    study: StudyRef,
    name: Annotated[str, Path(pattern="^[a-z_]{1,40}$")],
    query: Table,
    *,
    points: Annotated[int, Query(ge=100, le=8000)] = 800,
) -> Response:
    """What a chart of a study draws: as many points as the screen can show, of one moment.

    A filter that cannot be understood is left out, as on the page, which says what is wrong.
    """
    chart = CHARTS.get(name)
    if chart is None:
        raise NotFound(f"no chart is called '{name}'; there are {', '.join(CHARTS)}")
    found, _mistake = without_mistake(
        query, lambda asked: chart(db, study, ChartRequest(asked, points))
    )
    body = _adapter(type(found)).dump_json(found)
    return render.respond(request, body, "application/json")


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
