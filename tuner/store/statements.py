"""The statements of the hot path, built once: building one costs as much as running it."""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Insert,
    Select,
    Table,
    and_,
    bindparam,
    func,
    insert,
    literal,
    null,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from tuner.spec.states import StudyState, TrialState
from tuner.store.held import HeldAttempt, HeldTrial, KnownWorker, Seen
from tuner.store.tables import (
    Attempt,
    AttemptLog,
    Event,
    Maintenance,
    OwnerLimit,
    Report,
    Study,
    Trial,
    Worker,
)


def _names(record: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(record))


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


_UPSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def _upsert(new: Any) -> Insert:
    """An insert that replaces the row with the same key, whole."""
    table: Table = new.table
    others = {one.key: new.excluded[one.key] for one in table.c if not one.primary_key}
    upsert: Insert = new.on_conflict_do_update(index_elements=table.primary_key, set_=others)
    return upsert


_STUDIES = _table(Study)
_OWNER_LIMITS, _MAINTENANCE = _table(OwnerLimit), _table(Maintenance)
_ATTEMPTS, _TRIALS, _WORKERS = _table(Attempt), _table(Trial), _table(Worker)
_REPORTS, _EVENTS, _LOGS = _table(Report), _table(Event), _table(AttemptLog)
ATTEMPT, TRIAL = _names(HeldAttempt), _names(HeldTrial)
# What a report changes of its trial, and what else an end changes.
PROGRESS = (
    "step",
    "value",
    "value_step",
    "best_value",
    "metrics",
    "verdict",
    "seconds",
    "revision",
    "data_version",
    "threads",
)
END = (
    "state",
    "feasible",
    "reason",
    "error",
    "error_kind",
    "provenance",
    "finished_at",
    "study_epochs",
    "study_seconds",
)
STUDY = tuple(column.key for column in _STUDIES.c)
NEW_TRIAL = tuple(column.key for column in _TRIALS.c if column.key != "id")
LOCK = (
    select(Study)
    .where(Study.id.in_(bindparam("ids", expanding=True)), Study.deleted_at.is_(None))
    .order_by(Study.id)  # whoever locks several does so in one order
    .with_for_update()
    .execution_options(populate_existing=True)
)
LOCK_ROWS = (
    select(*_STUDIES.c)
    .where(_STUDIES.c.id.in_(bindparam("ids", expanding=True)), _STUDIES.c.deleted_at.is_(None))
    .order_by(_STUDIES.c.id)
    .with_for_update()
)
LEASES = (
    select(
        *(_ATTEMPTS.c[name] for name in ATTEMPT),
        *(_TRIALS.c[name] for name in TRIAL),
        _WORKERS.c.unfit.is_not(None),
    )
    .join(_TRIALS, _TRIALS.c.id == _ATTEMPTS.c.trial_id)
    .join(_WORKERS, _WORKERS.c.id == _ATTEMPTS.c.worker_id)
    .where(_ATTEMPTS.c.id.in_(bindparam("ids", expanding=True)))
)
SAVE_TRIAL = update(_TRIALS).where(_TRIALS.c.id == bindparam("which"))
RENEW = update(_ATTEMPTS).where(_ATTEMPTS.c.id.in_(bindparam("ids", expanding=True)))
SAVE_LEASE = update(_ATTEMPTS).where(_ATTEMPTS.c.id == bindparam("which"))
SAVE_LOG = {name: _upsert(make(_LOGS)) for name, make in _UPSERTS.items()}  # by dialect
SAVE_WORKER = (
    update(_WORKERS)
    .where(_WORKERS.c.id == bindparam("which"))
    .values(
        last_seen_at=bindparam("seen_at"), trials_done=_WORKERS.c.trials_done + bindparam("done")
    )
)


NAMED = select(_WORKERS.c.name, *(_WORKERS.c[name] for name in KnownWorker._fields)).where(
    _WORKERS.c.name.in_(bindparam("names", expanding=True))
)
OPEN = (StudyState.QUEUED, StudyState.RUNNING)  # may hand out trials
OPEN_STUDIES = (
    select(*_STUDIES.c)
    .where(_STUDIES.c.state.in_(OPEN), _STUDIES.c.deleted_at.is_(None))
    .order_by(_STUDIES.c.priority.desc(), _STUDIES.c.id)
)
_LOADS = (
    select(_TRIALS.c.study_id, _TRIALS.c.state, func.count())
    .where(_TRIALS.c.state.in_([TrialState.WAITING, TrialState.RUNNING, TrialState.PAUSED]))
    .group_by(_TRIALS.c.study_id, _TRIALS.c.state)
)
LOAD = _LOADS.where(_TRIALS.c.study_id.in_(bindparam("ids", expanding=True)))
OPEN_LOADS = _LOADS.where(
    _TRIALS.c.study_id.in_(
        select(_STUDIES.c.id).where(_STUDIES.c.state.in_(OPEN), _STUDIES.c.deleted_at.is_(None))
    )
)
# Owner and hours of those who have spent them; of maintenance no owner, and the reason.
LIMITS = union_all(
    select(_OWNER_LIMITS.c.owner, _OWNER_LIMITS.c.hours, literal("").label("reason"))
    .join(_STUDIES, _STUDIES.c.owner == _OWNER_LIMITS.c.owner, isouter=True)
    .group_by(_OWNER_LIMITS.c.owner, _OWNER_LIMITS.c.hours)
    .having(func.coalesce(func.sum(_STUDIES.c.seconds), 0) >= _OWNER_LIMITS.c.hours * 3600),
    select(null(), null(), _MAINTENANCE.c.reason),
)
ADD_LEASE, ADD_REPORT, ADD_EVENT = insert(_ATTEMPTS), insert(_REPORTS), insert(_EVENTS)
ADD_TRIAL = insert(_TRIALS).inline()  # nobody asks for the ids
LEASE_NEW = insert(_ATTEMPTS).values(
    trial_id=select(_TRIALS.c.id)
    .where(_TRIALS.c.study_id == bindparam("of"), _TRIALS.c.number == bindparam("new"))
    .scalar_subquery()
)
SAVE_STUDY = update(_STUDIES).where(_STUDIES.c.id == bindparam("which"))
SEEN = (
    select(*(_TRIALS.c[name] for name in Seen._fields))
    .where(_TRIALS.c.study_id == bindparam("study"), _TRIALS.c.revision > bindparam("since"))
    .order_by(_TRIALS.c.number)
)


@lru_cache(maxsize=256)
def steps_seen(metrics: Sequence[str], *, are_chosen: bool, counts_best: bool) -> Select[Any]:
    """Number, step and these metrics of what trials reported that changed since an event.

    The first metric is the first objective; with `are_chosen`, at the chosen steps alone. With
    `counts_best` a step has the metrics of the one that counted then.
    """
    shown = aliased(Report) if counts_best else Report
    further = [shown.metrics[name].as_float() for name in metrics[1:]]
    query = (
        select(Trial.number, Report.step, shown.value, *further)
        .join(Trial, Trial.id == Report.trial_id)
        .where(
            Trial.study_id == bindparam("study"),
            Trial.revision > bindparam("since"),
            shown.value.is_not(None),
        )
        .order_by(Trial.number, Report.step)
    )
    if counts_best:
        counted = func.coalesce(Report.value_step, Report.step)
        query = query.join(shown, and_(shown.trial_id == Trial.id, shown.step == counted))
    if are_chosen:
        query = query.where(Report.step.in_(bindparam("steps", expanding=True)))
    return query
