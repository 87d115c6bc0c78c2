"""Pages of trials, sorted by a column."""

from collections.abc import Mapping, Sequence
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
    """By which of `COLUMNS` trials are sorted."""

    key: str = "number"
    descending: bool = False


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
    column = COLUMNS[order.key]
    key = column.expression
    query = select(Trial.id).where(Trial.study_id == study_id).limit(limit)
    if state is not None:
        query = query.where(Trial.state == state)
    if after is not None:
        query = query.where(_beyond(key, *after, descending=order.descending))
    ranks: list[ColumnElement[Any]] = [key.desc() if order.descending else key.asc()]
    if order.key != "number":  # which alone an index gives
        ranks = [key.is_(None), *ranks, Trial.number.asc()]
    # Sorted by what decides the order alone: a row with its documents is a hundred times as wide.
    few = query.order_by(*ranks).scalar_subquery()
    shown = select(Trial, key).where(Trial.id.in_(few)).order_by(*ranks)
    return [(trial, value) for trial, value in session.execute(shown)]


def _beyond(
    key: ColumnElement[Any], value: Any, number: int, *, descending: bool
) -> ColumnElement[bool]:
    if value is None:
        return and_(key.is_(None), Trial.number > number)
    further = key < value if descending else key > value
    return or_(further, and_(key == value, Trial.number > number), key.is_(None))


def numbered(session: Session, study_id: int, wanted: Sequence[int]) -> list[Trial]:
    """Trials by their numbers, in the order of these; those that are gone are left out."""
    query = select(Trial).where(Trial.study_id == study_id, Trial.number.in_(wanted))
    found = {trial.number: trial for trial in session.scalars(query)}
    return [found[number] for number in wanted if number in found]
