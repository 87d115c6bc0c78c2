"""Pages of trials, sorted by any key that they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from tuner.spec.states import TrialState
from tuner.store.tables import Trial

COLUMNS: Mapping[str, InstrumentedAttribute[Any]] = {
    "number": Trial.number,
    "value": Trial.value,
    "best_value": Trial.best_value,
    "state": Trial.state,
    "step": Trial.step,
    "seconds": Trial.seconds,
    "finished_at": Trial.finished_at,
}


@dataclass(frozen=True, slots=True)
class Order:
    """By which key trials are sorted: one of `COLUMNS`, a searched path, or a metric.

    One that is derived from matrices is not a column, so that `page` cannot order by it.
    """

    key: str = "number"
    descending: bool = False
    numeric: bool = True
    is_metric: bool = False
    is_derived: bool = False

    def column(self) -> ColumnElement[Any]:
        """The SQL expression to sort by."""
        if self.key in COLUMNS:
            return COLUMNS[self.key].expression
        if self.is_metric:
            metric: ColumnElement[Any] = Trial.metrics[self.key].as_float()
            return metric
        drawn = Trial.params[self.key]
        key: ColumnElement[Any] = drawn.as_float() if self.numeric else drawn.as_string()
        return key


def page(
    session: Session,
    study_id: int,
    order: Order,
    *,
    state: TrialState | None,
    after: tuple[Any, int] | None,
    limit: int,
) -> list[tuple[Trial, Any]]:
    """Trials with their sort key, in order; those without one come last.

    Args:
        after: sort key and number of the last trial of the page before.
    """
    key = order.column()
    query = select(Trial, key).where(Trial.study_id == study_id).limit(limit)
    if state is not None:
        query = query.where(Trial.state == state)
    if after is not None:
        query = query.where(_beyond(key, *after, descending=order.descending))
    query = query.order_by(
        key.is_(None), key.desc() if order.descending else key.asc(), Trial.number
    )
    return [(trial, value) for trial, value in session.execute(query)]


def _beyond(
    key: ColumnElement[Any], value: Any, number: int, *, descending: bool
) -> ColumnElement[bool]:
    if value is None:
        return and_(key.is_(None), Trial.number > number)
    further = key < value if descending else key > value
    return or_(further, and_(key == value, Trial.number > number), key.is_(None))


def metric_of(
    session: Session, study_id: int, metric: str, *, state: TrialState | None
) -> list[tuple[int, int, float | None]]:
    """Id, number and last reported value of each trial, of one state or all, by number."""
    query = (
        select(Trial.id, Trial.number, Trial.metrics[metric].as_float())
        .where(Trial.study_id == study_id)
        .order_by(Trial.number)
    )
    if state is not None:
        query = query.where(Trial.state == state)
    return [(row[0], row[1], row[2]) for row in session.execute(query)]
