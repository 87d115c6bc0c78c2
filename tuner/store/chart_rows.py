"""What charts read of trials: a few columns of many rows."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import null, select
from sqlalchemy.orm import Session

from tuner.spec.sources import DRAWN_BY
from tuner.spec.states import TrialSource, TrialState
from tuner.store.reports import Matrix, unpack
from tuner.store.tables import Attempt, Report, Trial, Worker

_PART = 500  # databases limit the length of IN


class TrialFacts(NamedTuple):
    """What a trial is, as one line says it; `epochs` is its full budget."""

    number: int
    params: dict[str, Any]
    step: int
    epochs: int
    source: str
    reason: str


class Reporting(NamedTuple):
    """A trial that has reported."""

    id: int
    number: int
    state: str
    value: float | None
    feasible: bool | None


class StepRow(NamedTuple):
    """A metric of one step, with what it cost and the images that were seen up to there."""

    trial_id: int
    step: int
    value: float | None
    seconds: float
    images: float | None


class AttemptRow(NamedTuple):
    """One lease of a trial; it is held while `ended_at` is None."""

    trial: int
    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error_kind: str | None


class TrialOutline(NamedTuple):
    """How far a trial has come, and where it comes from; `epochs` is its full budget.

    `drawn_by` is the one of several samplers that drew it.
    """

    number: int
    state: str
    source: str
    step: int
    epochs: int
    seconds: float
    value: float | None
    feasible: bool | None
    parent: int | None
    drawn_by: str | None = None

    @property
    def origin(self) -> str:
        """Its source; where several samplers share the draws, the one that drew it."""
        return self.drawn_by or self.source


def numbers_in(session: Session, study_id: int, state: TrialState) -> set[int]:
    """Numbers of the study's trials in a state."""
    query = select(Trial.number).where(Trial.study_id == study_id, Trial.state == state)
    return set(session.scalars(query))


def facts(session: Session, study_id: int, numbers: Sequence[int]) -> dict[int, TrialFacts]:
    """These trials by number."""
    found = {}
    for part in _parts(numbers):
        query = select(
            Trial.number, Trial.params, Trial.step, Trial.epochs, Trial.source, Trial.reason
        ).where(Trial.study_id == study_id, Trial.number.in_(part))
        found.update({row[0]: TrialFacts(*row) for row in session.execute(query)})
    return found


def reporting(session: Session, study_id: int) -> list[Reporting]:
    """Every trial of a study that has reported, by number."""
    query = (
        select(Trial.id, Trial.number, Trial.state, Trial.value, Trial.feasible)
        .where(Trial.study_id == study_id, Trial.step > 0)
        .order_by(Trial.number)
    )
    return [Reporting(*row) for row in session.execute(query)]


def attempts(session: Session, study_id: int) -> list[AttemptRow]:
    """Every lease of a study's trials, in the order of their beginning."""
    query = (
        select(
            Trial.number,
            Attempt.number,
            Worker.name,
            Attempt.started_at,
            Attempt.ended_at,
            Attempt.outcome,
            Attempt.error_kind,
        )
        .join(Trial, Trial.id == Attempt.trial_id)
        .join(Worker, Worker.id == Attempt.worker_id)
        .where(Trial.study_id == study_id)
        .order_by(Attempt.started_at, Trial.number)
    )
    return [AttemptRow(*row) for row in session.execute(query)]


def outlines(session: Session, study_id: int) -> list[TrialOutline]:
    """Every trial of a study, by number."""
    query = (
        select(
            Trial.number,
            Trial.state,
            Trial.source,
            Trial.step,
            Trial.epochs,
            Trial.seconds,
            Trial.value,
            Trial.feasible,
            Trial.parent,
            Trial.attrs[DRAWN_BY].as_string(),
        )
        .where(Trial.study_id == study_id)
        .order_by(Trial.number)
    )
    return [TrialOutline(*row) for row in session.execute(query)]


def params_of(session: Session, trial_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Params of these trials, by id."""
    found = {}
    for part in _parts(trial_ids):
        query = select(Trial.id, Trial.params).where(Trial.id.in_(part))
        found.update({row[0]: row[1] for row in session.execute(query)})
    return found


def steps(session: Session, trial_ids: Sequence[int], metric: str | None) -> Iterator[StepRow]:
    """What these trials reported at each step, in its order; without a metric no value."""
    value = null() if metric is None else Report.metrics[metric].as_float()
    for part in _parts(trial_ids):
        query = (
            select(
                Report.trial_id,
                Report.step,
                value,
                Report.seconds,
                Report.metrics["images"].as_float(),
            )
            .where(Report.trial_id.in_(part))
            .order_by(Report.trial_id, Report.step)
        )
        yield from (StepRow(*row) for row in session.execute(query))


def matrices(session: Session, trial_ids: Sequence[int]) -> dict[tuple[int, int], Matrix]:
    """The confusion matrices of these trials, by id and step."""
    found = {}
    for part in _parts(trial_ids):
        query = select(Report.trial_id, Report.step, Report.confusion).where(
            Report.trial_id.in_(part), Report.confusion.is_not(None)
        )
        found.update({(row[0], row[1]): unpack(row[2] or b"") for row in session.execute(query)})
    return found


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _PART] for start in range(0, len(ids), _PART))


def copied(session: Session, study_id: int) -> dict[int, tuple[int, float | None]]:
    """Of each copy the step up to which its reports are another's, and its value there."""
    query = (
        select(Trial.number, Report.step, Report.value)
        .join(Report, Report.trial_id == Trial.id)
        .where(Trial.study_id == study_id, Report.attempt == 0)
        .order_by(Trial.number, Report.step)
    )
    return {row[0]: (row[1], row[2]) for row in session.execute(query)}


class CompletedTrial(NamedTuple):
    """A trial that was trained to its end."""

    number: int
    metrics: dict[str, Any]
    feasible: bool | None


def completed(session: Session, study_id: int) -> list[CompletedTrial]:
    """Completed trials of a study's search, by number."""
    query = (
        select(Trial.number, Trial.metrics, Trial.feasible)
        .where(
            Trial.study_id == study_id,
            Trial.state == TrialState.COMPLETED,
            Trial.source != TrialSource.CONFIRM,
        )
        .order_by(Trial.number)
    )
    return [CompletedTrial(*row) for row in session.execute(query)]
