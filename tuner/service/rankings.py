"""Trials by any metric: what they reported, or what their confusion matrices give."""

from collections.abc import Mapping
from math import isfinite
from typing import NamedTuple

import numpy as np
from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, NotFound, Problem
from tuner.service import documents, metric_arrays
from tuner.spec.messages import Report
from tuner.spec.metrics import LOSSES, MEASURED, MINIMIZED, named, unknown_metric
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import Ranked
from tuner.store import matrix_sums, trial_cells
from tuner.store import studies as study_rows
from tuner.store import trials as trial_rows
from tuner.store.engine import Database
from tuner.store.once import once
from tuner.store.tables import Study
from tuner.store.trial_cells import Cell, From
from tuner.wording import quantity


class RankedTrial(NamedTuple):
    """A feasible completed trial of the search, and its value of the metric asked for."""

    number: int
    value: float
    own: float | None


def named_metrics(spec: StudySpec, message: Report) -> Report:
    """The report with what objectives and constraints name, as far as its matrix gives it."""
    asked = [each.metric for each in spec.objectives] + [each.metric for each in spec.constraints]
    found = named(asked, message.metrics, message.confusion, spec.dataset.classes)
    return message.model_copy(update={"metrics": found})


def ranking(
    db: Database, study: int | str, metric: str, *, direction: str | None = None
) -> tuple[Ranked, ...]:
    """Feasible completed trials by a metric, the best first. Raises NotFound, InvalidInput."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = documents.spec_of(row)
        found = ranked(session, row, spec, objective_of(spec, metric, direction))
        return tuple(
            Ranked(rank=rank, trial=one.number, value=one.value, own=one.own)
            for rank, one in enumerate(found, start=1)
        )


def objective_of(spec: StudySpec, metric: str | None, direction: str | None) -> Objective:
    """What to choose by: the study's first objective where nothing else is said.

    A metric is maximized unless it is a loss, or the caller or the study says so.
    """
    chosen = metric or spec.objective.metric
    known = next((each for each in spec.objectives if each.metric == chosen), None)
    if known is not None and direction in {None, known.direction}:
        return known
    usual = "minimize" if chosen in MINIMIZED else "maximize"
    return Objective.model_validate({"metric": chosen, "direction": direction or usual})


def ranked(
    session: Session, row: Study, spec: StudySpec, objective: Objective
) -> list[RankedTrial]:
    """Trials by the objective, the earliest first where they are equal.

    Raises:
        InvalidInput: nothing is known under this name.
        NotFound: no trial stored what the metric derives from.
    """
    metric = objective.metric
    wrong = unknown_metric(metric, spec.dataset.classes)
    done = trial_rows.results(session, row)
    if wrong and not any(metric in one.metrics for one in done):
        raise InvalidInput([Problem(("objective",), wrong)])
    is_complete = all(metric in one.metrics for one in done)
    matrices = {} if wrong or is_complete else derived(session, row, spec, metric)
    found = [
        RankedTrial(one.number, value, one.value)
        for one in done
        if (value := one.metrics.get(metric, matrices.get(one.id))) is not None and isfinite(value)
    ]
    if not found:
        raise NotFound(
            f"no feasible completed trial of study '{row.name}' reported '{metric}', or a "
            f"confusion matrix that it can be computed from; "
            f"{quantity(len(done), 'trial')} looked at"
        )
    return sorted(found, key=lambda one: (objective.key(one.value), one.number))


def values_by(session: Session, study: Study, spec: StudySpec, metric: str) -> Mapping[int, float]:
    """Each trial's value of any metric, by number: as reported, else as its matrix gives it.

    Raises:
        InvalidInput: nothing is known under this name.
    """
    question = "values_by", study.id, metric
    return once(session, question, lambda: _values_by(session, study, spec, metric))


def _values_by(session: Session, study: Study, spec: StudySpec, metric: str) -> dict[int, float]:
    stored = trial_cells.read(session, study.id, [Cell(From.METRIC, metric)])
    wrong = unknown_metric(metric, spec.dataset.classes)
    if wrong and all(value is None for _, _, value in stored):
        raise InvalidInput([Problem(("by",), wrong)])
    is_complete = all(value is not None for _, _, value in stored)
    matrices = {} if wrong or is_complete else derived(session, study, spec, metric)
    return {
        number: value
        for trial_id, number, reported in stored
        if (value := matrices.get(trial_id) if reported is None else reported) is not None
    }


def derived(session: Session, study: Study, spec: StudySpec, metric: str) -> Mapping[int, float]:
    """What the matrix of each trial, of the step that counts, gives of a metric, by its id."""
    question = "derived", study.id, metric
    return once(session, question, lambda: _derived(session, study, spec, metric))


def _derived(session: Session, study: Study, spec: StudySpec, metric: str) -> dict[int, float]:
    if unknown_metric(metric, spec.dataset.classes) or metric in (*LOSSES, *MEASURED):
        return {}
    classes = spec.dataset.classes
    sums = matrix_sums.counted_sums(session, study, len(classes))
    found = metric_arrays.compute(metric, sums, classes)
    is_known = ~np.isnan(found)
    return dict(zip(sums.ids[is_known].tolist(), found[is_known].tolist(), strict=True))
