"""Trials of one or several studies beside each other: what a comparison shows, in one read."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.errors import NotFound, Unreadable
from tuner.service import documents, results, summaries
from tuner.spec.study import Objective
from tuner.spec.views import Curve, TrialView
from tuner.store import studies, trials
from tuner.store.engine import Database


@dataclass(frozen=True, slots=True)
class ComparedTrial:
    """A trial with its learning curve of the metric, and what its study optimises."""

    trial: TrialView
    objective: Objective
    curve: Curve


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Trials in the order asked for; `missing` says of the others why they are not there."""

    metric: str
    trials: tuple[ComparedTrial, ...]
    missing: tuple[str, ...]


def side_by_side(
    db: Database, chosen: Sequence[tuple[int, int]], *, metric: str | None = None
) -> SideBySide:
    """Trials by the ids of their studies and their numbers; the first one's objective by default.

    Raises:
        StorageError: the database does not answer.
    """
    found: list[ComparedTrial] = []
    missing: list[str] = []
    with db.snapshot() as session:
        for study, number in chosen:
            try:
                one = _read(session, study, number, metric)
            except (NotFound, Unreadable) as error:
                missing.append(str(error))
                continue
            metric = metric or one.objective.metric
            found.append(one)
    return SideBySide(metric or "", tuple(found), tuple(missing))


def _read(session: Session, study: int, number: int, metric: str | None) -> ComparedTrial:
    """Raises NotFound, Unreadable."""
    row = studies.find(session, study)
    objective = documents.spec_of(row).objective
    trial = trials.find(session, row, number)
    (curve,) = results.curves(session, row, [trial], metric=metric or objective.metric)
    return ComparedTrial(summaries.trial_view(session, row, trial), objective, curve)
