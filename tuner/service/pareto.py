"""The Pareto front of a study: which trials are on it, and its hypervolume over time."""

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, Problem
from tuner.search import analysis
from tuner.search.hypervolume import Point, history
from tuner.service import documents
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import FrontStep, FrontView
from tuner.store import studies as study_rows
from tuner.store import trials as trial_rows
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial
from tuner.store.trials import Result


class Rated(NamedTuple):
    """A trial that may be on the front, with its value for each objective."""

    result: Result
    values: tuple[float, ...]


def rated(session: Session, study: Study, spec: StudySpec) -> list[Rated]:
    """Feasible completed trials of the search with a finite value for every objective, by number.

    On the data that the study ranks, and without the trainings that confirm a leader.
    """
    return [
        Rated(one, values)
        for one in trial_rows.results(session, study)
        if (values := spec.objective_values(one.metrics)) is not None and all(map(isfinite, values))
    ]


def front_trials(session: Session, study: Study, spec: StudySpec) -> list[Trial]:
    """Rated trials that no other one beats in every objective, by number."""
    found = rated(session, study, spec)
    front = analysis.pareto_front([one.values for one in found], spec.objectives)
    ids = [found[index].result.id for index in front]
    trials = trial_rows.by_id(session, ids)
    return [trials[trial_id] for trial_id in ids]


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
        spec = documents.spec_of(row)
        return view(session, row, spec, reference=reference)


def view(
    session: Session, study: Study, spec: StudySpec, *, reference: Sequence[float] | None = None
) -> FrontView:
    """The front over time within a transaction. Raises InvalidSpec."""
    ended = sorted(
        rated(session, study, spec), key=lambda one: (one.result.finished_at, one.result.number)
    )
    keys = [_key(one.values, spec.objectives) for one in ended]
    if reference is not None:
        _check(reference, spec)
        corner: Point = _key(reference, spec.objectives)
    else:
        corner = tuple(map(max, zip(*keys, strict=True))) if keys else ()
    on_front = set(analysis.pareto_front([one.values for one in ended], spec.objectives))
    volumes = history(keys, corner) if keys else []
    return FrontView(
        objectives=spec.objectives,
        reference=_key(corner, spec.objectives) if corner else (),
        hypervolume=volumes[-1] if volumes else 0.0,
        steps=tuple(
            FrontStep(
                trial=one.result.number,
                values=one.values,
                on_front=index in on_front,
                hypervolume=volumes[index],
                finished_at=one.result.finished_at,
            )
            for index, one in enumerate(ended)
        ),
    )


def _key(values: Sequence[float], objectives: Sequence[Objective]) -> Point:
    """Values as keys of which less is better; the same once more gives the values."""
    return tuple(objective.key(value) for objective, value in zip(objectives, values, strict=True))


def _check(reference: Sequence[float], spec: StudySpec) -> None:
    names = ", ".join(objective.metric for objective in spec.objectives)
    if len(reference) != len(spec.objectives) or not all(map(isfinite, reference)):
        message = f"needs one finite number for each of {names}, not {list(reference)}"
        raise InvalidInput([Problem(("reference",), message)])
