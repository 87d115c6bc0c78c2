"""What the dashboard's routes are given, beside what `api.deps` has."""

from typing import Annotated, Literal

from fastapi import Depends, Query

from api.dashboard import addresses
from api.dashboard.chart_query import ChartQuery
from api.dashboard.compare_page import CompareQuery
from api.dashboard.forms import form_fields, form_lists, text_fields
from api.dashboard.images_page import OPACITY, ImagesQuery, Show
from api.dashboard.narrowing import AxisForm
from api.dashboard.new_page import StartingPoint
from api.dashboard.study_list import ListQuery
from api.dashboard.trial_query import Across, Shares, TrialChoice, View
from api.dashboard.trial_table import MOST_SELECTED, HistoryAxis, TableQuery, usual_order
from api.deps import MAX_ID, AttemptNumber, Cursor
from tuner.service.study_lists import StudySort
from tuner.spec.filters import MOST_CHARACTERS
from tuner.spec.states import StudyState, TrialState

_MOST_COLUMNS = 100
Charts = Annotated[ChartQuery, Depends()]


# A coroutine, because FastAPI sends plain functions through its thread pool.
async def _table(  # noqa: PLR0913  # one argument for each query parameter of the page
    *,
    sort: Annotated[str, Query(max_length=300)] = "",
    descending: bool | None = None,
    state: TrialState | None = None,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    skipped: Annotated[int, Query(ge=0)] = 0,
    axis: HistoryAxis = "trials",
    filter_: Annotated[str, Query(alias="filter", max_length=MOST_CHARACTERS)] = "",
    by: Annotated[str, Query(max_length=300)] = "",
    columns: Annotated[
        list[Annotated[str, Query(max_length=300)]] | None, Query(max_length=_MOST_COLUMNS)
    ] = None,
    selected: Annotated[str, Query(max_length=200)] = "",
    charts: Charts,
) -> TableQuery:
    usual, descends = usual_order(by.strip())
    return TableQuery(
        sort=sort or usual,
        descending=(True if sort else descends) if descending is None else descending,
        state=state,
        cursor=cursor,
        skipped=skipped,
        axis=axis,
        filter=filter_.strip(),
        by=by.strip(),
        columns=tuple(dict.fromkeys(columns or ())),
        selected=_numbers(selected),
        charts=charts,
    )


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of a list in an address; what is none of a trial is left out."""
    parts = [part for part in text.split(",") if part.isascii() and part.isdecimal()]
    found = [int(part) for part in parts if len(part) <= 10]
    return tuple(dict.fromkeys(number for number in found if number <= MAX_ID))[:MOST_SELECTED]


async def _trial(  # noqa: PLR0913  # one argument for each query parameter of the page
    *,
    view: View = "overview",
    metric: Annotated[list[str] | None, Query(max_length=100)] = None,
    axis: Across = "epochs",
    smooth: Annotated[float, Query(ge=0, le=0.99)] = 0.0,
    matrix: Shares = "recall",
    attempt: AttemptNumber = None,
    image: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
    epoch: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
) -> TrialChoice:
    return TrialChoice(view, tuple(metric or ()), axis, smooth, matrix, attempt, image, epoch)


_MOST_ADDRESSES = 200  # fields of one name; eight are compared, the others noted
_Addresses = Annotated[
    list[Annotated[str, Query(max_length=300)]] | None, Query(max_length=_MOST_ADDRESSES)
]


async def _compared(
    *,
    trials: _Addresses = None,
    metric: Annotated[str, Query(max_length=300)] = "",
    all_: Annotated[bool, Query(alias="all")] = False,
    image: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
) -> CompareQuery:
    return CompareQuery(addresses.parse(trials or ()), metric.strip(), all_, image)


async def _listing(  # one argument for each query parameter of the list
    *,
    search: Annotated[str, Query(max_length=200)] = "",
    state: StudyState | None = None,
    sort: StudySort = "created",
    descending: bool | None = None,
    cursor: Cursor = None,
    skipped: Annotated[int, Query(ge=0)] = 0,
) -> ListQuery:
    return ListQuery(" ".join(search.split()), state, sort, descending, cursor, skipped)


async def _begin(
    *,
    clone: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = None,
    sample: Literal["camvid", "demo"] = "camvid",
    preset: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> StartingPoint:
    # A form sends an empty name for each section that is left as the sample has it.
    return StartingPoint(clone, sample, tuple(name for name in preset or () if name))


_Short = Annotated[str, Query(max_length=60)]
_Values = Annotated[list[Annotated[str, Query(max_length=300)]] | None, Query(max_length=200)]


async def _axis(  # noqa: PLR0913  # one argument for each field of the form
    *,
    name: Annotated[str, Query(min_length=1, max_length=300)],
    low: _Short = "",
    high: _Short = "",
    span: _Values = None,
    value: _Values = None,
    missing: bool = False,
    of: Annotated[int, Query(ge=0)] = 0,
) -> AxisForm:
    return AxisForm(name, low, high, tuple(span or ()), tuple(value or ()), missing, of)


async def _images(  # noqa: PLR0913  # one argument for each query parameter of the page
    *,
    sort: Annotated[str, Query(max_length=200)] = "",
    descending: bool = True,
    state: TrialState | None = None,
    filter: Annotated[str, Query(max_length=MOST_CHARACTERS)] = "",  # as the parameter is called
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
    skipped: Annotated[int, Query(ge=0)] = 0,
    opacity: Annotated[int, Query(ge=0, le=100)] = OPACITY,
    show: Show = "predictions",
) -> ImagesQuery:
    return ImagesQuery(sort, descending, state, filter, cursor, skipped, opacity, show)


CompareAddress = Annotated[CompareQuery, Depends(_compared)]
Shown = Annotated[TrialChoice, Depends(_trial)]
Table = Annotated[TableQuery, Depends(_table)]
Images = Annotated[ImagesQuery, Depends(_images)]
Fields = Annotated[dict[str, str], Depends(form_fields)]
Narrowing = Annotated[AxisForm, Depends(_axis)]
Lists = Annotated[dict[str, list[str]], Depends(form_lists)]
TextFields = Annotated[dict[str, str], Depends(text_fields)]
Listing = Annotated[ListQuery, Depends(_listing)]
Begin = Annotated[StartingPoint, Depends(_begin)]
