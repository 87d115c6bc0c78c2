"""Single values of every trial of a study, for what looks at all of them: filters and charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from tuner.spec.states import TrialSource, TrialState
from tuner.store.once import once
from tuner.store.reports import counted_step
from tuner.store.tables import Attempt, Trial, Worker

COLUMNS: Mapping[str, InstrumentedAttribute[Any]] = {
    "number": Trial.number,
    "state": Trial.state,
    "source": Trial.source,
    "value": Trial.value,
    "best_value": Trial.best_value,
    "step": Trial.step,
    "epochs": Trial.epochs,
    "seconds": Trial.seconds,
    "attempts": Trial.attempts,
    "feasible": Trial.feasible,
    "parent": Trial.parent,
    "data_version": Trial.data_version,
    "error": Trial.error,
    "error_kind": Trial.error_kind,
    "created_at": Trial.created_at,
    "started_at": Trial.started_at,
    "finished_at": Trial.finished_at,
}


VALUE_STEP = "value_step"  # not among them: its column is empty where the last step counts
_PART = 500
_NEWEST = 20  # trials whose reports say which metrics there are


class From(Enum):
    """Where of a trial a value stands."""

    COLUMN = auto()  # one of `COLUMNS`, or `VALUE_STEP`
    PARAM = auto()  # a searched path; of a trial by hand, its config's value
    CONFIG = auto()  # any path of its config
    METRIC = auto()  # what its last report named so
    REASON = auto()
    WORKER = auto()  # the one that holds it, or held it last


@dataclass(frozen=True, slots=True)
class Cell:
    """One value that every trial has, or lacks."""

    source: From
    key: str = ""


def read(
    session: Session, study_id: int, cells: Sequence[Cell], *, state: TrialState | None = None
) -> list[tuple[Any, ...]]:
    """Id, number and these values of each trial, of one state or all, by number."""
    query = (
        select(Trial.id, Trial.number, *(_expression(cell) for cell in cells))
        .where(Trial.study_id == study_id)
        .order_by(Trial.number)
    )
    if state is not None:
        query = query.where(Trial.state == state)
    return [tuple(row) for row in session.execute(query)]


def _expression(cell: Cell) -> ColumnElement[Any]:
    match cell.source:
        case From.COLUMN:
            known = COLUMNS.get(cell.key)
            return func.nullif(counted_step(), 0) if known is None else known.expression
        case From.PARAM:
            by_hand = Trial.source == TrialSource.USER
            return case((by_hand, _of_config(cell.key)), else_=Trial.params[cell.key])
        case From.CONFIG:
            return _of_config(cell.key)
        case From.METRIC:
            metric: ColumnElement[Any] = Trial.metrics[cell.key].as_float()
            return metric
        case From.REASON:
            said: ColumnElement[Any] = Trial.verdict["reason"].as_string()
            return func.coalesce(func.nullif(Trial.reason, ""), said, "")
        case From.WORKER:
            return _worker()


def _of_config(path: str) -> ColumnElement[Any]:
    keys = tuple(int(part) if part.isdecimal() else part for part in path.split("."))
    found: ColumnElement[Any] = Trial.config[keys]
    return found


def _worker() -> ColumnElement[Any]:
    attempt, worker = aliased(Attempt), aliased(Worker)
    return (
        select(worker.name)
        .join(attempt, attempt.worker_id == worker.id)
        .where(attempt.trial_id == Trial.id, attempt.number == Trial.attempts)
        .correlate(Trial)
        .scalar_subquery()
    )


def reported(session: Session, study_id: int) -> tuple[str, ...]:
    """Names of the metrics that the newest trials reported last, sorted."""
    return once(session, ("reported", study_id), lambda: _reported(session, study_id))


def _reported(session: Session, study_id: int) -> tuple[str, ...]:
    found = session.scalars(
        select(Trial.metrics)
        .where(Trial.study_id == study_id, Trial.step > 0)
        .order_by(Trial.number.desc())
        .limit(_NEWEST)
    )
    return tuple(
        sorted({name for metrics in found if isinstance(metrics, dict) for name in metrics})
    )


def keys(session: Session, study_id: int) -> tuple[set[str], set[str]]:
    """Paths of the params, and names of the metrics, that any trial of a study has."""
    params: set[str] = set()
    metrics: set[str] = set()
    query = select(Trial.params, Trial.metrics).where(Trial.study_id == study_id)
    for found in session.execute(query.execution_options(yield_per=_PART)):
        for names, own in zip((params, metrics), found, strict=True):
            if isinstance(own, dict):
                names.update(own)
    return params, metrics
