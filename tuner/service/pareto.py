"""The Pareto front over time, in one number: the hypervolume."""

from collections.abc import Sequence
from math import isfinite

from tuner.errors import InvalidInput, Problem
from tuner.search import analysis
from tuner.search.hypervolume import Point, history
from tuner.service import rows
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import FrontStep, FrontView
from tuner.store import studies as study_rows
from tuner.store import trials as trial_rows
from tuner.store.engine import Database


def front(db: Database, study: int | str, *, reference: Sequence[float] | None = None) -> FrontView:
    """Feasible completed trials in the order of ending, and the hypervolume up to each.

    Without a `reference` it is the worst of these trials in each objective: the volumes of one
    study are then comparable among themselves, and with no other study.

    Raises:
        NotFound: no such study.
        InvalidInput: the reference has not one number per objective.
    """
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = rows.spec_of(row)
        done = trial_rows.results(session, row)
    rated = [
        (one, values)
        for one in sorted(done, key=lambda one: (one.finished_at, one.number))
        if (values := rows.objective_values(spec, one.metrics)) is not None
        and all(map(isfinite, values))
    ]
    keys = [_key(values, spec.objectives) for _, values in rated]
    if reference is not None:
        _check(reference, spec)
        corner: Point = _key(reference, spec.objectives)
    else:
        corner = tuple(map(max, zip(*keys, strict=True))) if keys else ()
    on_front = set(analysis.pareto_front([values for _, values in rated], spec.objectives))
    volumes = history(keys, corner) if keys else []
    return FrontView(
        objectives=spec.objectives,
        reference=_key(corner, spec.objectives) if corner else (),
        hypervolume=volumes[-1] if volumes else 0.0,
        steps=tuple(
            FrontStep(
                trial=one.number,
                values=values,
                on_front=index in on_front,
                hypervolume=volumes[index],
                finished_at=one.finished_at,
            )
            for index, (one, values) in enumerate(rated)
        ),
    )


def _key(values: Sequence[float], objectives: Sequence[Objective]) -> Point:
    """Values as keys of which less is better; the same once more gives the values."""
    return tuple(goal.key(value) for goal, value in zip(objectives, values, strict=True))


def _check(reference: Sequence[float], spec: StudySpec) -> None:
    names = ", ".join(goal.metric for goal in spec.objectives)
    if len(reference) != len(spec.objectives) or not all(map(isfinite, reference)):
        message = f"needs one finite number for each of {names}, not {list(reference)}"
        raise InvalidInput([Problem(("reference",), message)])
