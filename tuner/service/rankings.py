"""Trials by any metric: what they reported, or what their confusion matrices give."""

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, NotFound, Problem
from tuner.service import documents
from tuner.spec.messages import Report
from tuner.spec.metrics import MINIMIZED, compute, unknown_metric
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import Ranked
from tuner.store import reports, trial_pages
from tuner.store import studies as study_rows
from tuner.store import trials as trial_rows
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial
from tuner.wording import quantity


class RankedTrial(NamedTuple):
    """A feasible completed trial of the search, and its value of the metric asked for."""

    number: int
    value: float
    own: float | None


def named_metrics(spec: StudySpec, message: Report) -> Report:
    """The report with what objectives and constraints name, as far as its matrix gives it."""
    asked = [each.metric for each in spec.objectives] + [each.metric for each in spec.constraints]
    missing = [name for name in asked if name not in message.metrics]
    if not missing or message.confusion is None:
        return message
    classes = spec.dataset.classes
    found = {name: compute(name, message.confusion, classes) for name in missing}
    derived = {name: value for name, value in found.items() if value is not None}
    return message.model_copy(update={"metrics": {**message.metrics, **derived}})


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
    known = [each for each in spec.objectives if each.metric == chosen]
    usual = known[0].direction if known else "minimize" if chosen in MINIMIZED else "maximize"
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
    lacking = [one.id for one in done if metric not in one.metrics]
    derived = _derived(session, lacking, metric, spec) if lacking and not wrong else {}
    found = [
        RankedTrial(one.number, value, one.value)
        for one in done
        if (value := one.metrics.get(metric, derived.get(one.id))) is not None and isfinite(value)
    ]
    if not found:
        raise NotFound(
            f"no feasible completed trial of study '{row.name}' reported '{metric}', or a "
            f"confusion matrix that it can be computed from; "
            f"{quantity(len(done), 'trial')} looked at"
        )
    return sorted(found, key=lambda one: (objective.key(one.value), one.number))


def page(
    session: Session,
    row: Study,
    order: trial_pages.Order,
    *,
    state: TrialState | None,
    after: tuple[Any, int] | None,
    limit: int,
) -> list[tuple[Trial, Any]]:
    """Trials by what their last confusion matrix gives, whether they have ended or not.

    Those without one come last. Every matrix of the study is looked at.
    """
    spec = documents.spec_of(row)
    listed = trial_pages.metric_of(session, row.id, order.key, state=state)
    lacking = [trial_id for trial_id, _, value in listed if value is None]
    derived = _derived(session, lacking, order.key, spec)
    sign = -1.0 if order.descending else 1.0

    def place(value: float | None, number: int) -> tuple[float, int]:
        return inf if value is None else sign * value, number

    ordered = sorted(
        (place(value, number), trial_id, value)
        for trial_id, number, stored in listed
        for value in [derived.get(trial_id) if stored is None else stored]
    )
    start = place(*after) if after else (-inf, -1)
    chosen = [(trial_id, value) for at, trial_id, value in ordered if at > start][:limit]
    found = trial_rows.by_id(session, [trial_id for trial_id, _ in chosen])
    return [(found[trial_id], value) for trial_id, value in chosen]


def _derived(
    session: Session, trial_ids: list[int], metric: str, spec: StudySpec
) -> Mapping[int, float | None]:
    matrices = reports.last_confusions(session, trial_ids)
    return {
        trial_id: compute(metric, matrix, spec.dataset.classes) for trial_id, matrix in matrices
    }
