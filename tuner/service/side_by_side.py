"""Trials of one or several studies beside each other: what a comparison shows, in one read."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.errors import NotFound, Unreadable
from tuner.service import documents, examples, results, summaries
from tuner.spec.example_views import TrialExamples
from tuner.spec.study import Objective
from tuner.spec.views import Curve, TrialView
from tuner.store import studies, trials
from tuner.store.engine import Database


@dataclass(frozen=True, slots=True)
class ComparedTrial:
    """A trial with its learning curve of the metric, its images, and what its study optimises."""

    trial: TrialView
    objective: Objective
    curve: Curve
    examples: TrialExamples


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Trials in the order asked for, each once; `missing` says why others are not.

    `chosen` are those asked for, by the ids of the studies that were found.
    """

    metric: str
    trials: tuple[ComparedTrial, ...]
    missing: tuple[str, ...]
    chosen: tuple[tuple[int | str, int], ...]


def side_by_side(
    db: Database, chosen: Sequence[tuple[int | str, int]], *, metric: str | None = None
) -> SideBySide:
    """Trials by study and number; the first one's objective by default.

    Raises:
        StorageError: the database does not answer.
    """
    found: list[ComparedTrial] = []
    missing: list[str] = []
    places: dict[tuple[int | str, int], None] = {}
    with db.snapshot() as session:
        for study, number in chosen:
            try:
                one = _read(session, study, number, metric)
            except (NotFound, Unreadable) as error:
                missing.append(str(error))
                places[study, number] = None
                continue
            place = one.trial.study_id, one.trial.number
            if place in places:
                continue
            places[place] = None
            metric = metric or one.objective.metric
            found.append(one)
    return SideBySide(metric or "", tuple(found), tuple(missing), tuple(places))


def _read(session: Session, study: int | str, number: int, metric: str | None) -> ComparedTrial:
    """Raises NotFound, Unreadable."""
    row = studies.find(session, study)
    objective = documents.spec_of(row).objective
    trial = trials.find(session, row, number)
    (curve,) = results.curves(session, row, [trial], metric=metric or objective.metric)
    return ComparedTrial(
        summaries.trial_view(session, row, trial),
        objective,
        curve,
        examples.trial_examples(session, row, number),
    )
