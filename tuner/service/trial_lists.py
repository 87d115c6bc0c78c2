"""Trials of a study in any order, filtered and paged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, Problem
from tuner.service import cursors, rankings, views
from tuner.spec.hints import nearest
from tuner.spec.metrics import metric_names, unknown_metric
from tuner.spec.space import Choice
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import Page, TrialSummary
from tuner.store import leases, trial_pages, trials
from tuner.store.tables import Study, Trial
from tuner.store.trial_pages import Order


@dataclass(frozen=True, slots=True)
class TrialSelection:
    """Which trials a list shows, in which order; `sort` is a column, a path or a metric."""

    sort: str = "number"
    descending: bool = False
    state: TrialState | None = None
    cursor: str | None = None
    limit: int = 50


def page(
    session: Session, study: Study, spec: StudySpec, selection: TrialSelection
) -> Page[TrialSummary]:
    """The trials that are selected. Raises InvalidInput (sort key, cursor)."""
    order = _order(spec, selection.sort, descending=selection.descending)
    after = _after(selection.cursor, order) if selection.cursor else None
    listed = rankings.page if order.is_derived else _by_column
    found = listed(
        session, study, order, state=selection.state, after=after, limit=selection.limit + 1
    )
    shown = found[: selection.limit]
    following = None
    if len(found) > selection.limit:
        last, key = shown[-1]
        following = cursors.write(
            key.isoformat() if isinstance(key, datetime) else key, last.number
        )
    return Page(
        items=summaries_of(session, spec, [trial for trial, _ in shown]),
        next=following,
        total=trials.count(session, study.id, state=selection.state),
    )


def summaries_of(
    session: Session, spec: StudySpec, shown: Sequence[Trial]
) -> tuple[TrialSummary, ...]:
    """These trials with the workers that hold them."""
    holders = leases.holders(session, [trial.id for trial in shown])
    return tuple(views.trial_summary(trial, spec, holders.get(trial.id)) for trial in shown)


def _by_column(
    session: Session,
    study: Study,
    order: Order,
    *,
    state: TrialState | None,
    after: tuple[Any, int] | None,
    limit: int,
) -> Sequence[tuple[Trial, Any]]:
    return trial_pages.page(session, study.id, order, state=state, after=after, limit=limit)


def _order(spec: StudySpec, sort: str, *, descending: bool) -> Order:
    if sort in trial_pages.COLUMNS:
        return Order(sort, descending=descending, numeric=sort != "state")
    reported = metric_names(spec.dataset.classes)
    if sort in reported:
        return Order(sort, descending=descending, is_metric=True)
    if sort not in spec.space.root:
        if unknown_metric(sort, spec.dataset.classes) is None:
            return Order(sort, descending=descending, is_derived=True)
        hint = nearest(sort, (*trial_pages.COLUMNS, *spec.space.root, *reported))
        raise InvalidInput([Problem(("sort",), f"trials cannot be sorted by '{sort}'; {hint}")])
    numeric = all(
        not isinstance(dimension, Choice)
        or all(isinstance(v, int | float) and not isinstance(v, bool) for v in dimension.choice)
        for dimension in spec.space.root[sort]
    )
    return Order(sort, descending=descending, numeric=numeric)


def _after(cursor: str, order: Order) -> tuple[Any, int]:
    """Sort key and number of the last trial of the page before."""
    if order.key == "finished_at":
        key, number = cursors.read(cursor, [cursors.is_moment, cursors.is_whole])
        return key and datetime.fromisoformat(key), number
    fits = cursors.is_number if order.numeric else cursors.is_text
    key, number = cursors.read(cursor, [fits, cursors.is_whole])
    return key, number
