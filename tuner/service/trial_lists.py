"""Trials of a study in any order, filtered and paged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, Problem
from tuner.service import cursors, filters, rankings, views
from tuner.service.trial_fields import TrialField, TrialFields, ValueKind
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import Page, TrialSummary
from tuner.store import leases, trial_cells, trial_pages, trials
from tuner.store.tables import Study, Trial
from tuner.store.trial_pages import Order

_CHECKS = {ValueKind.NUMBER: cursors.is_number, ValueKind.TIME: cursors.is_moment}


@dataclass(frozen=True, slots=True)
class TrialSelection:
    """Which trials a list shows, in which order, and which metrics of each.

    `sort` is a column, a path or a metric; `filter` is what `tuner.spec.filters` reads. `by` is a
    metric that values are taken from in place of the objective; it comes with each trial, and of
    `columns` those that are metrics do.
    """

    sort: str = "number"
    descending: bool = False
    state: TrialState | None = None
    cursor: str | None = None
    limit: int = 50
    filter: str = ""
    metrics: tuple[str, ...] = ()
    by: str = ""
    columns: tuple[str, ...] = ()


class Placed(NamedTuple):
    """A trial's id and number, and its sort key."""

    id: int
    number: int
    key: Any


def page(
    session: Session, study: Study, spec: StudySpec, selection: TrialSelection
) -> Page[TrialSummary]:
    """The trials that are selected. Raises InvalidInput (sort key, filter, metric, cursor)."""
    fields = fields_of(session, study, spec)
    by = _sorted_by(fields, selection.sort)
    after = _after(selection.cursor, by) if selection.cursor else None
    if selection.filter.strip() or by.name not in trial_pages.COLUMNS:
        placed = _placed(session, study, fields, selection)
        total, found = len(placed), _of_placed(session, placed, after, selection)
    else:
        order = Order(by.name, descending=selection.descending)
        state, limit = selection.state, selection.limit + 1
        found = trial_pages.page(session, study.id, order, state=state, after=after, limit=limit)
        total = trials.count(session, study.id, state=state)
    also = ((selection.by,) if selection.by else ()) + tuple(
        filter(fields.metric, selection.columns)
    )
    metrics = (*selection.metrics, *also)
    shown = found[: selection.limit]
    following = None
    if len(found) > selection.limit:
        last, key = shown[-1]
        following = cursors.write(
            key.isoformat() if isinstance(key, datetime) else key, last.number
        )
    return Page(
        items=_with_metrics(session, study, fields, [trial for trial, _ in shown], metrics),
        next=following,
        total=total,
    )


def fields_of(session: Session, study: Study, spec: StudySpec) -> TrialFields:
    """What filters, sort keys and columns of a study's trials can name."""
    return TrialFields(spec, trial_cells.reported(session, study.id))


def placed(
    session: Session, study: Study, spec: StudySpec, selection: TrialSelection
) -> list[Placed]:
    """Every trial that is selected, in order, whatever the page. Raises InvalidInput."""
    fields = fields_of(session, study, spec)
    for name in selection.metrics:
        _metric(fields, name)
    return _placed(session, study, fields, selection)


def by_ids(
    session: Session, study: Study, spec: StudySpec, ids: Sequence[int], metrics: Sequence[str]
) -> tuple[TrialSummary, ...]:
    """Trials by their ids, in this order, with these metrics; whoever is gone is left out."""
    rows = trials.by_id(session, ids)
    shown = [rows[trial_id] for trial_id in ids if trial_id in rows]
    return _with_metrics(session, study, TrialFields(spec, metrics), shown, metrics)


def summaries_of(
    session: Session, spec: StudySpec, shown: Sequence[Trial]
) -> tuple[TrialSummary, ...]:
    """These trials with the workers that hold them."""
    holders = leases.holders(session, [trial.id for trial in shown])
    return tuple(views.trial_summary(trial, spec, holders.get(trial.id)) for trial in shown)


def _placed(
    session: Session, study: Study, fields: TrialFields, selection: TrialSelection
) -> list[Placed]:
    """Every selected trial in order; those without a sort key come last, each part by number."""
    by = _sorted_by(fields, selection.sort)
    wanted = filters.predicate(fields.spec, selection.filter, fields.reported)
    read = (by,) if wanted is None else (by, *wanted.fields)
    rows = filters.values(session, study, fields.spec, read, state=selection.state)
    if wanted is not None:
        rows = [row for row in rows if wanted.accepts(row.values[1:])]
    keyed = [Placed(row.id, row.number, _key(by, row.values[0])) for row in rows]
    known = [one for one in keyed if one.key is not None]
    known.sort(key=lambda one: one.key, reverse=selection.descending)
    return [*known, *(one for one in keyed if one.key is None)]


def _of_placed(
    session: Session,
    placed: list[Placed],
    after: tuple[Any, int] | None,
    selection: TrialSelection,
) -> list[tuple[Trial, Any]]:
    """The trials after a cursor with their sort keys: a page of them, and one more."""
    if after is not None:
        placed = [one for one in placed if _is_beyond(one, *after, selection.descending)]
    wanted = placed[: selection.limit + 1]
    rows = trials.by_id(session, [one.id for one in wanted])
    return [(rows[one.id], one.key) for one in wanted if one.id in rows]


def _key(field: TrialField, value: Any) -> Any:
    """What a value is sorted by: as text where there is more than numbers or times."""
    if field.kind is ValueKind.NUMBER:
        return value if isinstance(value, int | float) else None
    if field.kind is ValueKind.TIME or value is None:
        return value
    return filters.plain(value) if isinstance(value, str) else str(filters.plain(value))


def _is_beyond(one: Placed, key: Any, number: int, descending: bool) -> bool:
    """Whether a trial comes after one with this sort key and number."""
    if key is None or one.key is None:
        return one.key is None and (key is not None or one.number > number)
    if one.key == key:
        return one.number > number
    return bool(one.key < key) if descending else bool(one.key > key)


def _with_metrics(
    session: Session,
    study: Study,
    fields: TrialFields,
    shown: Sequence[Trial],
    metrics: Sequence[str],
) -> tuple[TrialSummary, ...]:
    """These trials with what of their metrics was asked for."""
    asked = {name: _metric(fields, name) for name in metrics}
    items = summaries_of(session, fields.spec, shown)
    if not asked:
        return items
    reported = [_reported(trial) for trial in shown]
    derived: dict[str, Mapping[int, float]] = {}
    for name, metric in asked.items():
        if any(metric not in own for own in reported):
            derived[name] = rankings.derived(session, study, fields.spec, metric)
    found = []
    for item, trial, own in zip(items, shown, reported, strict=True):
        values = {
            name: own.get(metric, derived.get(name, {}).get(trial.id))
            for name, metric in asked.items()
        }
        known = {name: value for name, value in values.items() if value is not None}
        found.append(item.model_copy(update={"metrics": known}))
    return tuple(found)


def _reported(trial: Trial) -> Mapping[str, float]:
    stored: object = trial.metrics  # a damaged row may have anything there
    return stored if isinstance(stored, dict) else {}


def _metric(fields: TrialFields, name: str) -> str:
    """The metric of a name. Raises InvalidInput."""
    found = fields.metric(name) or fields.find(name)
    if found is None or not found.is_metric:
        raise InvalidInput([Problem(("metrics",), fields.missing(name))])
    return found.cell.key


def _sorted_by(fields: TrialFields, sort: str) -> TrialField:
    found = fields.find(sort)
    if found is None:
        message = f"trials cannot be sorted by '{sort[:100]}': {fields.missing(sort)}"
        raise InvalidInput([Problem(("sort",), message)])
    return found


def _after(cursor: str, by: TrialField) -> tuple[Any, int]:
    """Sort key and number of the last trial of the page before."""
    fits = _CHECKS.get(by.kind, cursors.is_text)
    key, number = cursors.read(cursor, [fits, cursors.is_whole])
    return (datetime.fromisoformat(key) if key and by.kind is ValueKind.TIME else key), number
