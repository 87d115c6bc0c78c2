"""Which trials the charts of a study show: the same for all of them, and for its table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.service import filters, rankings
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.store import chart_rows
from tuner.store.tables import Study


@dataclass(frozen=True, slots=True)
class ChartSelection:
    """Trials of one state, or all, that a filter lets through; values of another metric by `by`."""

    state: TrialState | None = None
    filter: str = ""
    by: str = ""


def numbers(
    session: Session, study: Study, spec: StudySpec, selection: ChartSelection
) -> Collection[int] | None:
    """Numbers of the selected trials; None means all of them. Raises InvalidInput (filter)."""
    let_through = filters.matching(session, study, spec, selection.filter)
    if selection.state is None:
        return let_through
    found = chart_rows.numbers_in(session, study.id, selection.state)
    return found if let_through is None else found & let_through


def objective(spec: StudySpec, selection: ChartSelection) -> Objective:
    """What the selection ranks by."""
    return rankings.objective_of(spec, selection.by or None, None)


def values(
    session: Session, study: Study, spec: StudySpec, selection: ChartSelection
) -> Mapping[int, float] | None:
    """By number what trials are ranked by; None where it is their own. Raises InvalidInput."""
    if selection.by in {"", spec.objective.metric}:
        return None
    return rankings.values_by(session, study, spec, selection.by)
