"""The audit trail: what callers did, for an admin."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import MAX_ID, Cursor, Db, Limit
from tuner.service import audit
from tuner.spec.access import DeedView
from tuner.spec.views import Page

router = APIRouter(prefix="/audit", tags=["tokens"])


@router.get("")
def list_deeds(
    db: Db,
    *,
    study: Annotated[
        int | None, Query(ge=1, le=MAX_ID, description="Of the study of this id alone")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[DeedView]:
    """Every change that a caller made, the last first; also of what is gone."""
    return audit.page(db, study=study, cursor=cursor, limit=limit)
