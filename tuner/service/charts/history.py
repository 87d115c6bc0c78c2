"""The optimisation history, and what is known of the trials that are drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.service import documents, results
from tuner.service.charts.selection import ChartSelection, numbers, objective, values
from tuner.service.results import HistoryRow
from tuner.spec.study import Objective
from tuner.store import chart_rows, studies, trials
from tuner.store.chart_rows import TrialFacts
from tuner.store.engine import Database
from tuner.store.tables import Study

PickMarks = Callable[[Sequence[HistoryRow], Objective], Sequence[int]]


@dataclass(frozen=True, slots=True)
class StudyHistory:
    """Ended trials in the order of ending; `facts` are those of the trials that were picked."""

    objective: Objective
    base: float | None
    rungs: tuple[int, ...]
    points: tuple[HistoryRow, ...]
    facts: Mapping[int, TrialFacts]


def history(
    db: Database, study: int | str, selection: ChartSelection, pick: PickMarks
) -> StudyHistory:
    """A study's history, with facts of the trials whose numbers `pick` gives.

    Raises:
        NotFound: no such study.
        Unreadable: its document is of another release.
    """
    with db.snapshot() as session:
        row = studies.find(session, study)
        rules = documents.rules_of(row)
        by = objective(rules.spec, selection)
        shown = points(session, row, selection)
        return StudyHistory(
            objective=by,
            base=base(session, row, selection),
            rungs=() if rules.judged_steps is None else rules.rungs,
            points=shown,
            facts=chart_rows.facts(session, row.id, pick(shown, by)),
        )


def points(session: Session, study: Study, selection: ChartSelection) -> tuple[HistoryRow, ...]:
    """The selected trials that have ended, within a transaction."""
    spec = documents.spec_of(study)
    return results.history(
        session,
        study,
        only=numbers(session, study, spec, selection),
        by=objective(spec, selection),
        values=values(session, study, spec, selection),
    )


def base(session: Session, study: Study, selection: ChartSelection) -> float | None:
    """What trial 0 has reached, by what the selection ranks by."""
    own = trials.base_value(session, study)
    ranked = values(session, study, documents.spec_of(study), selection)
    return own if own is None or ranked is None else ranked.get(0)
