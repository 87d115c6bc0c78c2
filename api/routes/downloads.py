"""The table of trials as one file: filtered and sorted as it is asked for, all pages."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.deps import Db, StudyRef
from api.routes.trials import TrialOrder
from tuner.service import downloads
from tuner.service.downloads import Download
from tuner.service.storage import Database
from tuner.service.trial_lists import TrialSelection

router = APIRouter(prefix="/studies/{study}", tags=["trials"])
OrderQuery = Annotated[TrialOrder, Query()]
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}}}
}
_JSON: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/TrialSummary"}}
            }
        }
    }
}


@router.get("/trials.csv", response_class=StreamingResponse, responses=_CSV)
def download_csv(db: Db, study: StudyRef, query: OrderQuery) -> StreamingResponse:
    """Trials as CSV (RFC 4180, UTF-8): params, metrics of the step that counts, states, times."""
    found = _plan(db, study, query)
    return _file(downloads.as_csv(db, found), f"{found.study}-trials.csv", "text/csv")


@router.get("/trials.json", response_class=StreamingResponse, responses=_JSON)
def download_json(db: Db, study: StudyRef, query: OrderQuery) -> StreamingResponse:
    """Trials as a JSON array, each with all metrics of the step that counts."""
    found = _plan(db, study, query)
    return _file(downloads.as_json(db, found), f"{found.study}-trials.json", "application/json")


def _plan(db: Database, study: str, query: TrialOrder) -> Download:
    asked = query.model_dump()
    selection = TrialSelection(**{**asked, "metrics": tuple(query.metrics)})
    return downloads.plan(db, study, selection)


def _file(content: Any, name: str, media_type: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(content, media_type=media_type, headers=headers)
