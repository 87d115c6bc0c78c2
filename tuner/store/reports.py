"""Rows of reports: one per trial and step, whoever sends it again."""

import zlib
from array import array
from collections.abc import Collection, Sequence
from datetime import datetime
from math import isqrt
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, insert, literal, select
from sqlalchemy.orm import Session, aliased, defer

from tuner.spec.counting import Counting
from tuner.spec.events import EventKind
from tuner.spec.messages import Report as Message
from tuner.spec.states import TrialSource
from tuner.spec.study import Objective
from tuner.store import events, hot
from tuner.store.held import HeldTrial
from tuner.store.tables import Report, Study, Trial
from tuner.store.versions import comparable

_PART = 500  # trials read in one query; databases limit the length of IN
# Values that say nothing of the params at the step: a leader's, or those of a copy's model.
_ELSEWHERE = (TrialSource.CONFIRM, TrialSource.COPY)
Matrix = tuple[tuple[int, ...], ...]


def record(
    session: Session,
    study: Study,
    trial: Trial | HeldTrial,
    message: Message,
    *,
    counting: Counting,
    now: datetime,
) -> int:
    """Store the report of a trial's next step with its event; gives that one's number."""
    store(session, study, trial, message, counting=counting, now=now)
    return events.append(
        session,
        study,
        EventKind.TRIAL_REPORTED,
        now=now,
        trial=trial.number,
        step=message.step,
        value=message.metrics.get(counting.objective.metric),
    )


def store(
    session: Session,
    study: Study,
    trial: Trial | HeldTrial,
    message: Message,
    *,
    counting: Counting,
    now: datetime,
) -> None:
    """Insert the report of the next step, and carry it to the rows of its trial and its study.

    There is no event of it: of a trial that was trained elsewhere, it would say nothing new.
    """
    value = message.metrics.get(counting.objective.metric)
    counts = trial.value_step or trial.step
    if counting.replaces(value, trial.value, counts):
        trial.value, trial.metrics = value, dict(message.metrics)
        trial.value_step = None
    else:
        trial.value_step = counts
    hot.batch_of(session).new_reports.append(
        {
            "trial_id": trial.id,
            "step": message.step,
            "study_id": trial.study_id,
            "attempt": trial.attempts,
            "value": value,
            "value_step": trial.value_step,
            "metrics": message.metrics,
            "confusion": None if message.confusion is None else pack(message.confusion),
            "seconds": message.seconds,
            "created_at": now,
        }
    )
    trial.step = message.step
    trial.seconds += message.seconds
    trial.best_value = _best(counting.objective, trial.best_value, value)
    study.epochs += 1
    study.seconds += message.seconds


def copy(
    session: Session, source: Trial, target: Trial, *, until: int, objective: Objective
) -> None:
    """Give a new trial the reports of another up to a step, as if it had sent them itself.

    Its study does not count them again: nobody has trained these epochs a second time.
    """
    shared = [column for column in Report.__table__.c if column.name not in {"trial_id", "attempt"}]
    rows = select(literal(target.id), literal(0), *shared).where(
        Report.trial_id == source.id, Report.step <= until
    )
    names = ["trial_id", "attempt", *(column.name for column in shared)]
    session.execute(insert(Report).from_select(names, rows))
    found = list_for(session, target.id)
    if found:
        target.step, target.value_step = found[-1].step, found[-1].value_step
        counts = target.value_step or target.step
        shown = next(report for report in found if report.step == counts)
        target.value, target.metrics = shown.value, dict(shown.metrics)
        target.data_version, target.threads = source.data_version, source.threads
        target.seconds = sum(report.seconds for report in found)
    for report in found:
        target.best_value = _best(objective, target.best_value, report.value)


def _best(objective: Objective, known: float | None, value: float | None) -> float | None:
    """The better of two values, the earlier one if they are equal."""
    if value is None or known is None:
        return known if value is None else value
    return value if objective.is_better(value, known) else known


def list_for(session: Session, trial_id: int, *, after: int = 0) -> Sequence[Report]:
    """A trial's reports after a step, in order, without their matrices: those are megabytes."""
    return session.scalars(
        select(Report)
        .options(defer(Report.confusion, raiseload=True))
        .where(Report.trial_id == trial_id, Report.step > after)
        .order_by(Report.step)
    ).all()


def values_of(session: Session, trial_ids: Sequence[int]) -> dict[int, dict[int, float]]:
    """First objective by step, for each of these trials."""
    values: dict[int, dict[int, float]] = {trial_id: {} for trial_id in trial_ids}
    query = (
        select(Report.trial_id, Report.step, Report.value)
        .where(Report.trial_id.in_(trial_ids), Report.value.is_not(None))
        .order_by(Report.trial_id, Report.step)
    )
    for trial_id, step, value in session.execute(query):
        values[trial_id][step] = value  # type: ignore[assignment]  # the query left NULLs out
    return values


def metric_of(
    session: Session, trial_ids: Sequence[int], metric: str
) -> dict[int, dict[int, float]]:
    """Any metric by step, for each of these trials."""
    values: dict[int, dict[int, float]] = {trial_id: {} for trial_id in trial_ids}
    query = (
        select(Report.trial_id, Report.step, Report.metrics[metric].as_float())
        .where(Report.trial_id.in_(trial_ids))
        .order_by(Report.trial_id, Report.step)
    )
    for trial_id, step, value in session.execute(query):
        if value is not None:
            values[trial_id][step] = value
    return values


def counted_confusion(session: Session, trial_id: int) -> Matrix | None:
    """The confusion matrix of the step of a trial that counts, if it sent one."""
    packed = session.scalar(
        select(Report.confusion)
        .join(Trial, Trial.id == Report.trial_id)
        .where(Report.trial_id == trial_id, Report.step == counted_step())
    )
    return None if packed is None else unpack(packed)


class StepReport(NamedTuple):
    """What a trial of the search had come to at a step; the matrix is packed."""

    number: int
    params: dict[str, Any]
    metrics: dict[str, Any]
    confusion: bytes | None


def counted_step() -> ColumnElement[int]:
    """The step that a trial's value and metrics are of; what it stands in names `Trial`."""
    return func.coalesce(Trial.value_step, Trial.step)


def count_at(session: Session, study: Study, steps: Collection[int]) -> dict[int, int]:
    """How many trials of the search reported at each of these steps, if any did."""
    query = (
        select(Report.step, func.count())
        .join(Trial, Trial.id == Report.trial_id)
        .where(
            Report.study_id == study.id,
            Report.step.in_(steps),
            comparable(study),
            Trial.source.not_in(_ELSEWHERE),
        )
        .group_by(Report.step)
    )
    return dict(session.execute(query).all())


def reported_at(session: Session, study: Study, step: int | None, *, most: int) -> list[StepReport]:
    """What the search's trials had come to at a step, evenly spread over them if there are more.

    With step None, at the last of each trial that was trained to its own end. Where the best epoch
    counts, it is that of the best one up to the step.
    """
    counted = aliased(Report)
    at = (
        Report.study_id == study.id,
        Report.step == (Trial.epochs if step is None else step),
        comparable(study),
        Trial.source.not_in(_ELSEWHERE),
    )
    found = session.scalars(
        select(Trial.id).join(Report, Trial.id == Report.trial_id).where(*at).order_by(Trial.number)
    ).all()
    stride = -(-len(found) // most) or 1
    chosen, reported = found[::stride], list[StepReport]()
    for start in range(0, len(chosen), _PART):
        query = (
            select(Trial.number, Trial.params, counted.metrics, counted.confusion)
            .select_from(Report)
            .join(Trial, Trial.id == Report.trial_id)
            .join(
                counted,
                and_(
                    counted.trial_id == Report.trial_id,
                    counted.step == func.coalesce(Report.value_step, Report.step),
                ),
            )
            .where(*at, Report.trial_id.in_(chosen[start : start + _PART]))
            .order_by(Trial.number)
        )
        reported += [StepReport(*row) for row in session.execute(query)]
    return reported


def pack(confusion: Sequence[Sequence[int]]) -> bytes:
    """K×K counts as compressed little-endian int64."""
    cells = array("q", (cell for row in confusion for cell in row))
    if array("H", [1]).tobytes() != b"\x01\x00":
        cells.byteswap()
    return zlib.compress(cells.tobytes(), level=1)


def unpack(packed: bytes) -> Matrix:
    """The counts that `pack` took."""
    cells = array("q", zlib.decompress(packed))
    if array("H", [1]).tobytes() != b"\x01\x00":
        cells.byteswap()
    size = isqrt(len(cells))
    return tuple(tuple(cells[row * size : (row + 1) * size]) for row in range(size))
