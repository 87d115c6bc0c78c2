"""The panel of trials: a page of the table, its columns, and what its filter got wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from api.dashboard import trial_columns
from api.dashboard.study_list import state_counts
from api.dashboard.trial_columns import ColumnGroup, TrialColumn
from api.dashboard.trial_table import PAGE, TableQuery
from tuner.errors import InvalidInput
from tuner.service.details import table_detail
from tuner.service.storage import Database
from tuner.service.trial_fields import TrialFields
from tuner.service.trial_lists import TrialSelection
from tuner.spec.metrics import MEASURES, SUMMARIES
from tuner.spec.study import Objective
from tuner.spec.views import Page, StudyView, TrialSummary


@dataclass(frozen=True, slots=True)
class TableMistake:
    """What cannot be understood of a filter, or of the metric to rank by, and where."""

    field: str
    message: str
    before: str = ""
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class TrialTable:
    """A page of trials, and what asks for the first page and the next one.

    `groups` are all columns that there are, `names` what a filter can name with the values that
    are known of each, `metrics` what trials can be ranked by; `leader` is the best of all.
    """

    page: Page[TrialSummary]
    next: TableQuery | None
    first: TableQuery | None
    columns: tuple[TrialColumn, ...]
    groups: tuple[ColumnGroup, ...]
    names: Mapping[str, tuple[str, ...]]
    metrics: tuple[str, ...]
    mistake: TableMistake | None
    leader: int | None


@dataclass(frozen=True, slots=True)
class TablePanel:
    """Context of the template `study/trials.html` by itself."""

    study: StudyView
    objective: Objective
    counts: Mapping[str, int]
    table: TrialTable
    query: TableQuery


class _Read(Protocol):
    """What a table is made of."""

    @property
    def trials(self) -> Page[TrialSummary]: ...
    @property
    def fields(self) -> TrialFields: ...
    @property
    def leader(self) -> int | None: ...


_OF_BY = {"by", "metrics", "objective"}  # where a metric that nobody knows is complained of
R = TypeVar("R", bound=_Read)
T = TypeVar("T")


def table_panel(db: Database, study: int | str, query: TableQuery) -> TablePanel:
    """The trials of a study. Raises NotFound, InvalidInput (sort key, cursor)."""
    found, mistake = read(query, lambda selection: table_detail(db, study, selection))
    return TablePanel(
        study=found.study,
        objective=found.study.objective,
        counts=state_counts(found.study),
        table=trial_table(found, query, mistake),
        query=query,
    )


def read(query: TableQuery, detail: Callable[[TrialSelection], R]) -> tuple[R, TableMistake | None]:
    """The trials that a query asks for, without its mistake. Raises InvalidInput otherwise."""
    return without_mistake(query, lambda asked: detail(_selection(asked)))


def without_mistake(
    query: TableQuery, read: Callable[[TableQuery], T]
) -> tuple[T, TableMistake | None]:
    """What a query asks for, without what cannot be understood of its filter or its metric.

    All parts of a page leave out the same, so that they go on showing the same trials.

    Raises:
        InvalidInput: anything else, such as the sort key or the cursor.
    """
    mistake: TableMistake | None = None
    while True:
        try:
            return read(query), mistake
        except InvalidInput as error:
            query, mistake = _without_mistake(query, error)


def understood(query: TableQuery, mistake: TableMistake | None) -> TableQuery:
    """The query without what is wrong with it."""
    if mistake is None:
        return query
    return query.filtered() if mistake.field == "filter" else query.ranked_by()


def trial_table(found: _Read, query: TableQuery, mistake: TableMistake | None) -> TrialTable:
    """The table of what was read."""
    page, fields = found.trials, found.fields
    by = "" if mistake and mistake.field == "by" else query.by
    return TrialTable(
        page=page,
        next=query.following(page.next, len(page.items)) if page.next else None,
        first=query.first() if query.cursor else None,
        columns=trial_columns.shown(fields, query.columns, by),
        groups=trial_columns.offered(fields, by),
        names=fields.completions(),
        metrics=_rankings(fields),
        mistake=mistake,
        leader=found.leader,
    )


def _selection(query: TableQuery) -> TrialSelection:
    """What the service reads for a query."""
    return TrialSelection(
        sort=query.sort,
        descending=query.descending,
        state=query.state,
        cursor=query.cursor,
        limit=PAGE,
        filter=query.filter,
        by=query.by,
        columns=query.columns,
    )


def _without_mistake(
    query: TableQuery, error: InvalidInput
) -> tuple[TableQuery, TableMistake | None]:
    """The query without what is wrong with it. Raises InvalidInput if nothing can be left out."""
    problem = error.problems[0]
    place = problem.location[0]
    if place == "filter" and query.filter:
        at = int(problem.source.removeprefix("character ")) - 1
        mistake = TableMistake("filter", problem.message, query.filter[:at], query.filter[at:])
        return replace(query, filter="", cursor=None), mistake
    if query.by and (place in _OF_BY or (place == "sort" and query.sort == query.by)):
        return query.ranked_by(), TableMistake("by", problem.message)
    raise error


def _rankings(fields: TrialFields) -> tuple[str, ...]:
    """Metrics to offer: summaries, and each measure of each class and of the worst one."""
    classes = (*fields.spec.dataset.classes, "worst")
    by_class = [f"{measure}.{name}" for measure in MEASURES for name in classes]
    return tuple(dict.fromkeys((*SUMMARIES, *by_class, *fields.reported)))
