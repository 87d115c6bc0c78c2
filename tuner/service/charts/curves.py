"""Learning curves of any metric: which trials are drawn, and what they reported at each step."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, Problem
from tuner.service import confirmations, documents
from tuner.service.charts.selection import ChartSelection, numbers, objective, values
from tuner.spec.metrics import compute, unknown_metric
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.store import chart_rows, studies, trial_cells
from tuner.store.chart_rows import Reporting
from tuner.store.engine import Database
from tuner.store.tables import Study

Pick = Literal["recent", "best", "newest"]


@dataclass(frozen=True, slots=True)
class CurveChoice:
    """A metric, what the selection ranks by when None, of at most so many trials."""

    metric: str | None = None
    pick: Pick = "recent"
    most: int = 40


@dataclass(frozen=True, slots=True)
class TrialCurve:
    """One metric of one trial by step, with the device time and the images up to there."""

    trial: int
    state: TrialState
    params: Mapping[str, Any]
    steps: tuple[int, ...]
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    images: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class StudyCurves:
    """The curves that are drawn of the `total` that there are; `metrics` are all that can be."""

    objective: Objective
    metric: str
    metrics: tuple[str, ...]
    epochs: int
    best: int | None
    curves: tuple[TrialCurve, ...]
    total: int

    @property
    def counts_images(self) -> bool:
        """Whether the curves can be drawn over images."""
        return any(image is not None for curve in self.curves for image in curve.images)


def curves(
    db: Database, study: int | str, selection: ChartSelection, choice: CurveChoice
) -> StudyCurves:
    """Curves of a study. Raises NotFound, Unreadable, InvalidInput (metric, by)."""
    with db.snapshot() as session:
        return read(session, studies.find(session, study), selection, choice)


def read(
    session: Session, study: Study, selection: ChartSelection, choice: CurveChoice
) -> StudyCurves:
    """The same within a transaction."""
    spec = documents.spec_of(study)
    by = objective(spec, selection)
    metric = choice.metric or by.metric
    reported = trial_cells.reported(session, study.id)
    wrong = unknown_metric(metric, spec.dataset.classes)
    if wrong and metric not in reported:
        raise InvalidInput([Problem(("metric" if choice.metric else "by",), wrong)])
    only = numbers(session, study, spec, selection)
    ranked = values(session, study, spec, selection)
    there = [
        one if ranked is None else one._replace(value=ranked.get(one.number))
        for one in chart_rows.reporting(session, study.id)
        if only is None or one.number in only
    ]
    winner = confirmations.leader(session, study, spec) if ranked is None else None
    known = winner is not None and any(one.number == winner.number for one in there)
    best = winner.number if winner and known else leader(there, by)
    chosen = choose(there, choice, by, best)
    is_derived = metric not in reported and metric != spec.objective.metric
    return StudyCurves(
        objective=by,
        metric=metric,
        metrics=reported,
        epochs=spec.most_epochs,
        best=best,
        curves=_read(session, spec, chosen, metric, is_derived=is_derived),
        total=len(there),
    )


def leader(there: Collection[Reporting], by: Objective) -> int | None:
    """The trial with the best result of those that count."""
    done = [
        one
        for one in there
        if one.state == TrialState.COMPLETED and one.feasible and one.value is not None
    ]
    return min(done, key=lambda one: _key(one, by)).number if done else None


def choose(
    there: Sequence[Reporting], choice: CurveChoice, by: Objective, best: int | None
) -> list[Reporting]:
    """At most so many trials, by number; the best is always among them.

    `recent` are those that run, then those that began last.
    """
    if choice.pick == "best":
        with_value = [one for one in there if one.value is not None]
        order = sorted(with_value, key=lambda one: _key(one, by))
    else:
        order = sorted(there, key=lambda one: -one.number)
        if choice.pick == "recent":
            order.sort(key=lambda one: one.state != TrialState.RUNNING)
    order.sort(key=lambda one: one.number != best)
    return sorted(order[: choice.most], key=lambda one: one.number)


def _key(one: Reporting, by: Objective) -> tuple[float, int]:
    assert one.value is not None
    return by.key(one.value), one.number


def _read(
    session: Session,
    spec: StudySpec,
    chosen: Sequence[Reporting],
    metric: str,
    *,
    is_derived: bool,
) -> tuple[TrialCurve, ...]:
    ids = [one.id for one in chosen]
    params = chart_rows.params_of(session, ids)
    value_of: dict[tuple[int, int], float | None] = {}
    if is_derived:
        matrices = chart_rows.matrices(session, ids)
        value_of = {
            key: compute(metric, matrix, spec.dataset.classes) for key, matrix in matrices.items()
        }
    points: dict[int, list[tuple[int, float, float, float | None]]] = {one.id: [] for one in chosen}
    spent: dict[int, float] = {}
    for row in chart_rows.steps(session, ids, None if is_derived else metric):
        spent[row.trial_id] = spent.get(row.trial_id, 0.0) + row.seconds
        value = value_of.get((row.trial_id, row.step)) if is_derived else row.value
        if value is not None:
            points[row.trial_id].append((row.step, value, spent[row.trial_id], row.images))
    return tuple(
        TrialCurve(
            one.number,
            TrialState.known(one.state),
            params[one.id],
            tuple(point[0] for point in points[one.id]),
            tuple(point[1] for point in points[one.id]),
            tuple(point[2] for point in points[one.id]),
            tuple(point[3] for point in points[one.id]),
        )
        for one in chosen
    )
