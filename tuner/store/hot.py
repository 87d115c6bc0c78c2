"""The hot path: what a group of requests reads is read at once, what it changes is written at once.

A transaction shared by many reports, heartbeats and ends (see `tuner.store.group`) locks all
their studies with one statement, reads all their leases with a second, and at its end writes what
they changed with one statement a table, however many they are. Between the two stand decisions on
plain records. The ORM is for everything else: it costs more than the database.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Table, Update, bindparam, insert, select, update
from sqlalchemy.orm import Session

from tuner.store.group import Need
from tuner.store.tables import Attempt, Event, Report, Study, Trial, Worker

_BATCH = "batch"  # where a session keeps its own
PIPELINE = "pipeline"  # where it keeps how statements are sent together, if its database can


@dataclass(slots=True)
class HeldAttempt:
    """A lease, as far as its holder may change it; columns of `attempts`."""

    id: str
    trial_id: int
    number: int
    worker_id: int
    token_hash: str
    expires_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: str | None
    error_kind: str | None


@dataclass(slots=True)
class HeldTrial:
    """A trial that is leased, as far as reports and ends may change it; columns of `trials`."""

    id: int
    study_id: int
    number: int
    state: str
    source: str
    step: int
    epochs: int
    value: float | None
    best_value: float | None
    metrics: dict[str, Any]
    feasible: bool | None
    attempts: int
    verdict: dict[str, Any]
    reason: str
    error: str | None
    error_kind: str | None
    provenance: dict[str, Any]
    seconds: float
    revision: int
    data_version: str | None
    threads: int | None
    started_at: datetime | None
    finished_at: datetime | None
    study_epochs: int | None
    study_seconds: float | None

    def __post_init__(self) -> None:
        """Read what is no JSON object as an empty one: its worker must be able to end the trial."""
        self.verdict, self.provenance = _object(self.verdict), _object(self.provenance)


def _object(stored: Any) -> dict[str, Any]:
    return stored if isinstance(stored, dict) else {}


def _names(record: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(record))


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


_ATTEMPTS, _TRIALS, _WORKERS = _table(Attempt), _table(Trial), _table(Worker)
_REPORTS, _EVENTS = _table(Report), _table(Event)
_ATTEMPT, _TRIAL = _names(HeldAttempt), _names(HeldTrial)
# What a report changes of its trial, and what else an end changes.
_PROGRESS = (
    "step",
    "value",
    "best_value",
    "metrics",
    "verdict",
    "seconds",
    "revision",
    "data_version",
    "threads",
)
_END = (
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
_LOCK = (
    select(Study)
    .where(Study.id.in_(bindparam("ids", expanding=True)))
    .order_by(Study.id)  # whoever locks several does so in one order
    .with_for_update()
    .execution_options(populate_existing=True)
)
_LEASES = (
    select(
        *(_ATTEMPTS.c[name] for name in _ATTEMPT),
        *(_TRIALS.c[name] for name in _TRIAL),
        _WORKERS.c.unfit.is_not(None),
    )
    .join(_TRIALS, _TRIALS.c.id == _ATTEMPTS.c.trial_id)
    .join(_WORKERS, _WORKERS.c.id == _ATTEMPTS.c.worker_id)
    .where(_ATTEMPTS.c.id.in_(bindparam("ids", expanding=True)))
)
_SAVE_TRIAL = update(_TRIALS).where(_TRIALS.c.id == bindparam("which"))
_RENEW = update(_ATTEMPTS).where(_ATTEMPTS.c.id.in_(bindparam("ids", expanding=True)))
_END_LEASE = update(_ATTEMPTS).where(_ATTEMPTS.c.id == bindparam("which"))
_SAVE_WORKER = (
    update(_WORKERS)
    .where(_WORKERS.c.id == bindparam("which"))
    .values(
        last_seen_at=bindparam("seen_at"), trials_done=_WORKERS.c.trials_done + bindparam("done")
    )
)


_NAMED = select(_WORKERS.c.name, _WORKERS.c.id, _WORKERS.c.capabilities, _WORKERS.c.unfit).where(
    _WORKERS.c.name.in_(bindparam("names", expanding=True))
)
_INSERTS = {table.name: insert(table) for table in (_ATTEMPTS, _REPORTS, _EVENTS)}


class KnownWorker(NamedTuple):
    """A worker as it is stored."""

    id: int
    capabilities: dict[str, Any]
    unfit: dict[str, Any] | None


@dataclass(slots=True)
class _Sighting:
    """When a worker was last heard of, and how many trials it has ended in this transaction."""

    seen_at: datetime
    done: int = 0


@dataclass(slots=True)
class Batch:
    """What one transaction has locked and read, and what it is going to write."""

    studies: dict[int, Study] = field(default_factory=dict)
    attempts: dict[str, HeldAttempt] = field(default_factory=dict)
    trials: dict[int, HeldTrial] = field(default_factory=dict)
    new_leases: list[tuple[Trial, dict[str, Any]]] = field(default_factory=list)
    new_reports: list[dict[str, Any]] = field(default_factory=list)
    new_events: list[dict[str, Any]] = field(default_factory=list)
    workers: dict[str, KnownWorker] = field(default_factory=dict)
    unfit: set[str] = field(default_factory=set)  # leases of workers with a reason not to train
    counts: dict[int, dict[str, int]] = field(default_factory=dict)  # trials by study and state
    _sightings: dict[int, _Sighting] = field(default_factory=dict)
    _moment: datetime | None = None
    _read_trials: dict[int, HeldTrial] = field(default_factory=dict)
    _read_attempts: dict[str, HeldAttempt] = field(default_factory=dict)

    def lock(self, session: Session, ids: Iterable[int]) -> None:
        """Hold the rows of those studies that exist to the end of the transaction."""
        missing = sorted(set(ids) - self.studies.keys())
        if missing:
            found = session.scalars(_LOCK, {"ids": _padded(missing)})
            self.studies.update({study.id: study for study in found})

    def read(self, session: Session, leases: Iterable[str]) -> None:
        """Read leases with their trials; the caller has locked their studies."""
        missing = sorted(set(leases) - self.attempts.keys())
        if not missing:
            return
        for row in session.connection().execute(_LEASES, {"ids": _padded(missing)}):
            attempt = HeldAttempt(*row[: len(_ATTEMPT)])
            self.attempts[attempt.id] = attempt
            self._read_attempts[attempt.id] = replace(attempt)
            if row[-1]:
                self.unfit.add(attempt.id)
            if attempt.trial_id not in self.trials:
                trial = HeldTrial(*row[len(_ATTEMPT) : -1])
                self.trials[trial.id] = trial
                self._read_trials[trial.id] = replace(trial)

    def meet(self, session: Session, names: Iterable[str]) -> None:
        """Read the workers of these names, as far as there are any."""
        missing = sorted(set(names) - self.workers.keys())
        if missing:
            for name, *rest in session.connection().execute(_NAMED, {"names": _padded(missing)}):
                self.workers[name] = KnownWorker(*rest)

    def count(self, study_id: int, state: str, number: int) -> None:
        """Note that so many trials more, or fewer, of a study are in a state."""
        if study_id in self.counts:
            counts = self.counts[study_id]
            counts[state] = counts.get(state, 0) + number

    def write(self, session: Session) -> None:
        """Write everything but workers: later statements of the transaction see it."""
        session.flush()
        with at_once(session):
            self._write(session)

    def _write(self, session: Session) -> None:
        leases = [{**lease, "trial_id": trial.id} for trial, lease in self.new_leases]
        _insert(session, _ATTEMPTS, leases)
        _insert(session, _REPORTS, self.new_reports)
        _insert(session, _EVENTS, self.new_events)
        for new in (self.new_leases, self.new_reports, self.new_events):
            new.clear()
        self._save_trials(session)
        self._save_attempts(session)

    def close(self, session: Session) -> None:
        """Write everything, workers last and by id: their rows are locked for the shortest time."""
        session.flush()
        seen = sorted(self._sightings.items())
        with at_once(session):
            self._write(session)
            _run(
                session,
                _SAVE_WORKER,
                [{"which": key, "seen_at": one.seen_at, "done": one.done} for key, one in seen],
            )
        self._sightings.clear()

    def moment(self, clock: Callable[[], datetime]) -> datetime:
        """The time when it was first asked for."""
        self._moment = self._moment or clock()
        return self._moment

    def saw(self, worker_id: int, *, now: datetime, done: int = 0) -> None:
        """Note that a worker is alive, and how many trials more it has ended."""
        sighting = self._sightings.setdefault(worker_id, _Sighting(now))
        sighting.seen_at = now
        sighting.done += done

    def _save_trials(self, session: Session) -> None:
        changed = [
            trial for key, trial in sorted(self.trials.items()) if trial != self._read_trials[key]
        ]
        ended = [each for each in changed if _differ(each, self._read_trials[each.id], _END)]
        reported = [each for each in changed if each not in ended]
        _run(session, _SAVE_TRIAL, [_values(each, _PROGRESS) for each in reported])
        _run(session, _SAVE_TRIAL, [_values(each, _PROGRESS + _END) for each in ended])
        for trial in changed:
            self._read_trials[trial.id] = replace(trial)
            known = session.identity_map.get(session.identity_key(Trial, trial.id))
            if known is not None:  # the ORM read it before, and must read it again
                session.expire(known)

    def _save_attempts(self, session: Session) -> None:
        changed = [
            attempt
            for key, attempt in sorted(self.attempts.items())
            if attempt != self._read_attempts[key]
        ]
        renewed: dict[datetime, list[str]] = {}
        for attempt in changed:
            if attempt.ended_at is None:
                renewed.setdefault(attempt.expires_at, []).append(attempt.id)
        for moment, ids in renewed.items():
            session.connection().execute(_RENEW, {"ids": _padded(ids), "expires_at": moment})
        ends = ("ended_at", "outcome", "error", "error_kind")
        _run(session, _END_LEASE, [_values(a, ends) for a in changed if a.ended_at is not None])
        for attempt in changed:
            self._read_attempts[attempt.id] = replace(attempt)


def prepare(session: Session, needs: Sequence[Need]) -> None:
    """Lock and read what a group of works needs: its studies, then its leases."""
    batch = batch_of(session)
    batch.lock(session, [need.study for need in needs])
    batch.read(session, [need.lease for need in needs if need.lease is not None])
    batch.meet(session, [need.worker for need in needs if need.worker is not None])


def write(session: Session) -> None:
    """Write what the transaction has gathered, so that what it reads next is true."""
    batch_of(session).write(session)


def batch_of(session: Session) -> Batch:
    """What this session's transaction has read and is going to write."""
    batch: Batch = session.info.setdefault(_BATCH, Batch())
    return batch


def at_once(session: Session) -> AbstractContextManager[object]:
    """Send what is written in the block without waiting for one statement's end before the next.

    Each wait is a round trip, and on a busy machine a turn of the scheduler.
    """
    pipeline: Callable[[Session], AbstractContextManager[object]]
    pipeline = session.info.get(PIPELINE, nullcontext)
    return pipeline(session)


def _padded(keys: Sequence[Any]) -> list[Any]:
    """The keys, the last one repeated: few lengths of IN are few statements to prepare."""
    size = 1 << (len(keys) - 1).bit_length()
    return [*keys, *[keys[-1]] * (size - len(keys))]


def _insert(session: Session, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.connection().execute(_INSERTS[table.name], rows)


def _run(session: Session, statement: Update, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        session.connection().execute(statement, rows)


def _values(record: HeldAttempt | HeldTrial, names: Sequence[str]) -> dict[str, Any]:
    return {"which": record.id, **{name: getattr(record, name) for name in names}}


def _differ(one: HeldTrial, other: HeldTrial, names: Sequence[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)
