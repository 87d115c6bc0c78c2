"""What the dashboard's routes are given, beside what `api.deps` has."""

from typing import Annotated

from fastapi import Depends, Query

from api.dashboard.forms import form_fields
from api.dashboard.trial_table import HistoryAxis, TableQuery
from tuner.spec.states import TrialState


# A coroutine, because FastAPI sends plain functions through its thread pool.
async def _table(
    *,
    sort: Annotated[str, Query(max_length=200)] = "number",
    descending: bool = True,
    state: TrialState | None = None,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    skipped: Annotated[int, Query(ge=0)] = 0,
    axis: HistoryAxis = "trials",
) -> TableQuery:
    return TableQuery(sort, descending, state, cursor, skipped, axis)


Table = Annotated[TableQuery, Depends(_table)]
Fields = Annotated[dict[str, str], Depends(form_fields)]
