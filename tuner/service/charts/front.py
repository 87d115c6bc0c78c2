"""The Pareto front with what lies beyond it: trials that break a constraint, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from sqlalchemy.orm import Session

from tuner.service import documents, pareto
from tuner.service.charts.selection import ChartSelection, numbers
from tuner.spec.study import Constraint, Objective
from tuner.spec.views import FrontView
from tuner.store import chart_rows
from tuner.store.tables import Study
from tuner.wording import measure


@dataclass(frozen=True, slots=True)
class FrontTrial:
    """A completed trial with every metric that the study asks for; `broken` says which bounds."""

    trial: int
    metrics: Mapping[str, float]
    is_feasible: bool
    broken: str


@dataclass(frozen=True, slots=True)
class StudyFront:
    """A study's objectives and bounds, its completed trials, and the front of the feasible ones."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    outcomes: tuple[FrontTrial, ...]
    view: FrontView

    @property
    def axes(self) -> tuple[str, ...]:
        """Metrics that an axis may show."""
        return axes(self.objectives, self.constraints)


def axes(objectives: Sequence[Objective], constraints: Sequence[Constraint]) -> tuple[str, ...]:
    """Metrics that a study asks for, the objectives first."""
    named = [one.metric for one in objectives] + [one.metric for one in constraints]
    return tuple(dict.fromkeys(named))


def read(session: Session, study: Study, selection: ChartSelection) -> StudyFront:
    """The front of a study within a transaction; the selected of its completed trials."""
    spec = documents.spec_of(study)
    only = numbers(session, study, spec, selection)
    found = chart_rows.completed(session, study.id)
    return StudyFront(
        objectives=spec.objectives,
        constraints=spec.constraints,
        outcomes=tuple(
            FrontTrial(
                one.number,
                {
                    name: value
                    for name, value in one.metrics.items()
                    if isinstance(value, int | float) and isfinite(value)
                },
                one.feasible is not False,
                broken(one.metrics, spec.constraints),
            )
            for one in found
            if only is None or one.number in only
        ),
        view=pareto.view(session, study, spec),
    )


def broken(metrics: Mapping[str, float], constraints: tuple[Constraint, ...]) -> str:
    """The bounds that a trial breaks, with its values: `latency_ms 41.2 > 30`."""
    said = []
    for each in constraints:
        value = metrics.get(each.metric)
        if value is None:
            said.append(f"{each.metric} is not known")
        elif each.max is not None and value > each.max:
            said.append(f"{each.metric} {measure(value)} > {each.max:g}")
        elif each.min is not None and value < each.min:
            said.append(f"{each.metric} {measure(value)} < {each.min:g}")
    return ", ".join(said)
