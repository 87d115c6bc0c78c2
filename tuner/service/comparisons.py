"""Which trials of a study are compared with each other, and at which epoch."""

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, Problem
from tuner.search.observation import Observation
from tuner.search.rules import Rules
from tuner.service import documents, rankings
from tuner.spec.metrics import compute, unknown_metric
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.store import reports
from tuner.store import studies as study_rows
from tuner.store.engine import Database
from tuner.store.reports import StepReport
from tuner.store.tables import Study

_ENOUGH = 30  # trials at a rung; above it, later epochs are worth more than further trials


class ComparedTrials(NamedTuple):
    """Trials as if they had ended at an epoch, under the study's objectives or another one."""

    spec: StudySpec
    step: int
    trials: list[Observation]


def comparison(
    db: Database, study: int | str, objective: str | None, direction: str | None, *, most: int
) -> ComparedTrials:
    """Trials of a study at the highest rung that enough of them reached, `most` of them.

    Where epochs are searched, each counts at its own end.

    Raises:
        NotFound: no such study.
        InvalidInput: no metric is called so.
    """
    with db.reading() as session:
        row = study_rows.find(session, study)
        rules = documents.rules_of(row)
        if objective or direction:
            chosen = (rankings.objective_of(rules.spec, objective, direction),)
            rules = Rules(rules.spec.model_copy(update={"objectives": chosen}))
        spec = rules.spec
        step = 0 if spec.searches_epochs else _step(session, row, rules)
        at = None if spec.searches_epochs else step
        reported = reports.reported_at(session, row, at, most=most) if at != 0 else []
    compared = [found for one in reported if (found := _observation(one, spec)) is not None]
    if objective and not compared and (wrong := unknown_metric(objective, spec.dataset.classes)):
        raise InvalidInput([Problem(("objective",), wrong)])
    return ComparedTrials(spec, step, compared)


def _step(session: Session, row: Study, rules: Rules) -> int:
    """The epoch at which to compare; 0 while nothing was reported at any."""
    epochs, ladder = rules.spec.base.training.epochs, rules.rungs
    steps = {epochs, *ladder} if len(ladder) < epochs - 1 else {epochs // 4, epochs // 2, epochs}
    counts = reports.count_at(session, row, steps)
    enough = [step for step, count in counts.items() if count >= _ENOUGH]
    if enough:
        return max(enough)
    return max(counts, key=lambda step: (counts[step], step), default=0)


def _observation(one: StepReport, spec: StudySpec) -> Observation | None:
    """A trial as if it had ended at the epoch; None if a value is missing there."""
    values = [_value(objective.metric, one, spec) for objective in spec.objectives]
    known = tuple(value for value in values if value is not None and isfinite(value))
    if len(known) < len(values):
        return None
    return Observation(one.number, TrialState.COMPLETED, one.params, known)


def _value(metric: str, one: StepReport, spec: StudySpec) -> float | None:
    reported: Mapping[str, float] = one.metrics
    if metric in reported or one.confusion is None:
        return reported.get(metric)
    return compute(metric, reports.unpack(one.confusion), spec.dataset.classes)
