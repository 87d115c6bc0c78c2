"""Rows of reports: one per trial and step, whoever sends it again."""

import zlib
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from math import isqrt

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from tuner.spec.messages import Report as Message
from tuner.store.tables import Report, Trial
from tuner.store.trials import CONFIRM

_PART = 500  # trials read in one query; databases limit the length of IN
Matrix = tuple[tuple[int, ...], ...]


def add(
    session: Session, trial: Trial, message: Message, *, value: float | None, now: datetime
) -> None:
    """Insert the report of a trial's next step and carry it to the trial's row."""
    session.add(
        Report(
            trial_id=trial.id,
            step=message.step,
            study_id=trial.study_id,
            attempt=trial.attempts,
            value=value,
            metrics=dict(message.metrics),
            confusion=None if message.confusion is None else pack(message.confusion),
            seconds=message.seconds,
            created_at=now,
        )
    )
    trial.step = message.step
    trial.value = value
    trial.metrics = dict(message.metrics)
    trial.seconds += message.seconds


def list_for(session: Session, trial_id: int, *, after: int = 0) -> Sequence[Report]:
    """A trial's reports after a step, in order."""
    return session.scalars(
        select(Report).where(Report.trial_id == trial_id, Report.step > after).order_by(Report.step)
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


def values_at(session: Session, study_id: int, step: int) -> dict[int, float]:
    """First objective at this step, by number of the search's trial that reached it."""
    query = (
        select(Trial.number, Report.value)
        .join(Trial, Trial.id == Report.trial_id)
        .where(
            Report.study_id == study_id,
            Report.step == step,
            Report.value.is_not(None),
            Trial.source != CONFIRM,
        )
    )
    return {number: value for number, value in session.execute(query) if value is not None}


def last_confusion(session: Session, trial_id: int) -> Matrix | None:
    """The confusion matrix of a trial's last step, if it sent one."""
    packed = session.scalar(
        select(Report.confusion)
        .where(Report.trial_id == trial_id)
        .order_by(Report.step.desc())
        .limit(1)
    )
    return None if packed is None else unpack(packed)


def last_confusions(session: Session, trial_ids: Sequence[int]) -> Iterator[tuple[int, Matrix]]:
    """The confusion matrix of the last step of each of these trials that sent one."""
    for start in range(0, len(trial_ids), _PART):
        query = (
            select(Report.trial_id, Report.confusion)
            .join(Trial, and_(Trial.id == Report.trial_id, Trial.step == Report.step))
            .where(
                Report.trial_id.in_(trial_ids[start : start + _PART]),
                Report.confusion.is_not(None),
            )
        )
        for trial_id, packed in session.execute(query):
            yield trial_id, unpack(packed or b"")


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
