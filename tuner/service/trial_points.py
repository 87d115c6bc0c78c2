"""How params and results of a study relate: every trial of one moment, compactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, NotFound, Unreadable
from tuner.service import documents, filters, rankings
from tuner.service.trial_fields import TrialFields
from tuner.spec.space import SearchSpace
from tuner.spec.states import TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.store import studies, trial_cells
from tuner.store import trial_points as rows
from tuner.store.tables import Study

MOST_OTHERS = 5


class TrialPoint(NamedTuple):
    """A trial of the search: what it drew, what it reached so far, whether the filter passes it.

    `value` is None where it is not known or not finite.
    """

    number: int
    state: TrialState
    value: float | None
    step: int
    params: Mapping[str, Any]
    feasible: bool | None = None
    matches: bool = True


@dataclass(frozen=True, slots=True)
class StudyPoints:
    """The trials of a study by number, and what their values are of."""

    id: int
    name: str
    space: SearchSpace
    objective: Objective
    trials: tuple[TrialPoint, ...]
    fields: TrialFields


@dataclass(frozen=True, slots=True)
class PointSelection:
    """Which trials match, by which metric, and which other studies stand beside (id or name)."""

    filter: str = ""
    by: str | None = None
    state: TrialState | None = None
    others: tuple[str, ...] = ()


def points_of(session: Session, row: Study, asked: PointSelection) -> StudyPoints:
    """The trials of a study's search with their values of its first objective, or of `by`.

    Raises:
        InvalidInput: the filter cannot be read, or no metric is called so.
        Unreadable: the study's document is of another release.
    """
    spec = documents.spec_of(row)
    return StudyPoints(
        id=row.id,
        name=row.name,
        space=spec.space,
        objective=rankings.objective_of(spec, asked.by, None),
        trials=_points(session, row, spec, asked),
        fields=TrialFields(spec, trial_cells.reported(session, row.id)),
    )


def beside(session: Session, own: StudyPoints, asked: PointSelection) -> tuple[StudyPoints, ...]:
    """All trials of other studies by the same metric, which the filter is not about.

    A study that is not there, cannot be read, or does not know the metric is left out.
    """
    found: dict[int, StudyPoints] = {}
    for other in asked.others[:MOST_OTHERS]:
        try:
            row = studies.find(session, other)
            if row.id != own.id:
                found[row.id] = points_of(session, row, PointSelection(by=own.objective.metric))
        except (InvalidInput, NotFound, Unreadable):
            continue
    return tuple(found.values())


def _points(
    session: Session, row: Study, spec: StudySpec, asked: PointSelection
) -> tuple[TrialPoint, ...]:
    matching = filters.matching(session, row, spec, asked.filter)
    values = rankings.values_by(session, row, spec, asked.by) if asked.by else None
    found = rows.read(session, row.id)
    by_hand = rows.configs_by_hand(session, row.id)
    points = []
    for one in found:
        state = TrialState.known(one.state)
        points.append(
            TrialPoint(
                number=one.number,
                state=state,
                value=_finite(one.value if values is None else values.get(one.number)),
                step=one.step,
                params=_params(one.params, by_hand.get(one.number), spec),
                feasible=one.feasible,
                matches=(matching is None or one.number in matching)
                and asked.state in {None, state},
            )
        )
    return tuple(points)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _params(drawn: Any, config: Any, spec: StudySpec) -> Mapping[str, Any]:
    """What a trial drew; of one that was asked for by hand, what its config has at each path."""
    params = drawn if isinstance(drawn, Mapping) else {}
    if config is None:
        return params
    known = {path: _at(config, path) for path in spec.space.root}
    return {path: value for path, value in known.items() if value is not None} | dict(params)


def _at(config: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(config, Mapping):
            return None
        config = config.get(key)
    return config
