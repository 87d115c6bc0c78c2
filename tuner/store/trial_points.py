"""What every trial of a study drew and reached, for charts that relate the two."""

from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuner.spec.states import TrialSource
from tuner.store.tables import Trial


class TrialRow(NamedTuple):
    """A trial of the search with its last value of the first objective."""

    number: int
    state: str
    value: float | None
    step: int
    feasible: bool | None
    params: Any


def read(session: Session, study_id: int) -> list[TrialRow]:
    """Trials of the search by number; those that confirm a leader have its params once more."""
    query = (
        select(Trial.number, Trial.state, Trial.value, Trial.step, Trial.feasible, Trial.params)
        .where(Trial.study_id == study_id, Trial.source != TrialSource.CONFIRM)
        .order_by(Trial.number)
    )
    return [TrialRow(*row) for row in session.execute(query)]


def configs_by_hand(session: Session, study_id: int) -> dict[int, Any]:
    """Configs of the trials that a person asked for, which may differ in what is not searched."""
    query = select(Trial.number, Trial.config).where(
        Trial.study_id == study_id, Trial.source == TrialSource.USER
    )
    return {row[0]: row[1] for row in session.execute(query)}
