"""The hot path: what a group of requests reads is read at once, what it changes is written at once.

A transaction shared by many reports, heartbeats and ends (see `tuner.store.group`) locks all
their studies with one statement, reads all their leases with a second, and at its end writes what
they changed with one statement a table, however many they are. Between the two stand decisions on
plain records. The ORM is for everything else: it costs more than the database.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Select, inspect
from sqlalchemy.orm import Session, make_transient_to_detached

from tuner.store import observed, pipeline
from tuner.store import statements as sql
from tuner.store.group import Need
from tuner.store.held import HeldAttempt, HeldTrial, KnownWorker
from tuner.store.observed import History, Since
from tuner.store.pipeline import Query
from tuner.store.tables import Study, Trial

Rows = Iterable[Sequence[Any]]
_Read = tuple[Sequence[Query], Callable[..., None]]  # queries, and what takes in their rows
_BATCH = "batch"  # where a session keeps its own
_RENEWAL = ("expires_at", "renewed_at")  # what a renewal changes of a lease, and what its end does
_END = ("ended_at", "outcome", "error", "error_kind", "reason")


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
    usages: dict[str, dict[str, Any]] = field(default_factory=dict)  # by lease
    logs: dict[str, dict[str, Any]] = field(default_factory=dict)  # rows, by lease
    workers: dict[str, KnownWorker] = field(default_factory=dict)
    unfit: set[str] = field(default_factory=set)  # leases of workers with a reason not to train
    counts: dict[int, dict[str, int]] = field(default_factory=dict)  # trials by study and state
    histories: dict[int, History] = field(default_factory=dict)
    _sightings: dict[int, _Sighting] = field(default_factory=dict)
    _moment: datetime | None = None
    _read_trials: dict[int, HeldTrial] = field(default_factory=dict)
    _read_attempts: dict[str, HeldAttempt] = field(default_factory=dict)

    def lock(self, session: Session, ids: Iterable[int]) -> None:
        """Hold the rows of those studies that exist to the end of the transaction."""
        missing = sorted(set(ids) - self.studies.keys())
        if missing:
            found = session.scalars(sql.LOCK, {"ids": _padded(missing)})
            self.studies.update({study.id: study for study in found})

    def add_studies(self, session: Session, rows: Rows) -> None:
        """Take in studies that were locked before anything else was read."""
        for row in rows:
            study = study_from(row)
            make_transient_to_detached(study)
            session.add(study)
            self.studies[study.id] = study

    def read_leases(self, session: Session, leases: Iterable[str]) -> None:
        """Read leases with their trials; the caller has locked their studies."""
        missing = sorted(set(leases) - self.attempts.keys())
        if not missing:
            return
        self.add_leases(session.connection().execute(sql.LEASES, {"ids": _padded(missing)}))

    def add_leases(self, rows: Rows) -> None:
        """Take in leases with their trials, as they were read."""
        for row in rows:
            attempt = HeldAttempt(*row[: len(sql.ATTEMPT)])
            self.attempts[attempt.id] = attempt
            self._read_attempts[attempt.id] = replace(attempt)
            if row[-1]:
                self.unfit.add(attempt.id)
            if attempt.trial_id not in self.trials:
                trial = HeldTrial(*row[len(sql.ATTEMPT) : -1])
                self.trials[trial.id] = trial
                self._read_trials[trial.id] = replace(trial)

    def read_workers(self, session: Session, names: Iterable[str]) -> None:
        """Read the workers of these names, as far as there are any."""
        missing = sorted(set(names) - self.workers.keys())
        if missing:
            self.add_workers(session.connection().execute(sql.NAMED, {"names": _padded(missing)}))

    def add_workers(self, rows: Rows) -> None:
        """Take in workers, as they were read."""
        self.workers.update({name: KnownWorker(*rest) for name, *rest in rows})

    def set_loads(self, studies: Iterable[int], rows: Rows) -> None:
        """Take in how many trials of these studies wait, run or are paused."""
        self.counts.update({study_id: {} for study_id in studies})
        for study_id, state, number in rows:
            self.counts[study_id][state] = number

    def set_history(self, study_id: int, since: Since, trials: Rows, steps: Rows) -> None:
        """Take in what changed of a study before this transaction, if there is the study."""
        if study_id in self.studies:
            study = self.studies[study_id]
            self.histories[study_id] = observed.history(study, since, trials, steps)

    def count(self, study_id: int, state: str, number: int) -> None:
        """Note that so many trials more, or fewer, of a study are in a state."""
        if study_id in self.counts:
            counts = self.counts[study_id]
            counts[state] = counts.get(state, 0) + number

    def write(self, session: Session) -> None:
        """Write everything but workers: later statements of the transaction see it."""
        session.flush()
        with pipeline.writing(session):
            self._write(session)

    def close(self, session: Session) -> None:
        """Write everything and commit, workers last and by id: their rows are locked for the
        shortest time.
        """
        new_trials, studies = self._take_over(session)
        session.flush()
        seen = sorted(self._sightings.items())
        with pipeline.writing(session):
            pipeline.write(session, sql.ADD_TRIAL, new_trials)
            for changed in studies:
                pipeline.write(session, sql.SAVE_STUDY, [changed])
            self._write(session)
            pipeline.write(
                session,
                sql.SAVE_WORKER,
                [{"which": key, "seen_at": one.seen_at, "done": one.done} for key, one in seen],
            )
            pipeline.commit(session)
        session.commit()

    def _take_over(self, session: Session) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rows of new trials and what changed of locked studies, which the ORM lets go of.

        It would wait for each of them, and nothing comes after.
        """
        new_trials = [each for each in session.new if isinstance(each, Trial)]
        rows = [{name: getattr(each, name) for name in sql.NEW_TRIAL} for each in new_trials]
        for trial in new_trials:
            session.expunge(trial)
        studies = []
        for study in self.studies.values():
            if study in session.dirty:
                changed = _changes(study)
                session.expunge(study)
                if changed:
                    studies.append({"which": study.id, **changed})
        return rows, studies

    def _write(self, session: Session) -> None:
        stored = [{**lease, "trial_id": trial.id} for trial, lease in self.new_leases if trial.id]
        unstored = [
            {**lease, "of": trial.study_id, "new": trial.number}
            for trial, lease in self.new_leases
            if not trial.id
        ]
        pipeline.write(session, sql.ADD_LEASE, stored)
        pipeline.write(session, sql.LEASE_NEW, unstored)
        pipeline.write(session, sql.ADD_REPORT, self.new_reports)
        pipeline.write(session, sql.ADD_EVENT, self.new_events)
        for new in (self.new_leases, self.new_reports, self.new_events):
            new.clear()
        self._save_trials(session)
        self._save_attempts(session)
        self._save_logs(session)

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
        ended = [each for each in changed if _differ(each, self._read_trials[each.id], sql.END)]
        reported = [each for each in changed if each not in ended]
        pipeline.write(session, sql.SAVE_TRIAL, [_values(each, sql.PROGRESS) for each in reported])
        pipeline.write(
            session, sql.SAVE_TRIAL, [_values(each, sql.PROGRESS + sql.END) for each in ended]
        )
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
        renewed: dict[tuple[Any, ...], list[str]] = {}
        held = [attempt for attempt in changed if attempt.ended_at is None]
        for attempt in held:
            if attempt.id not in self.usages:
                times = (attempt.expires_at, attempt.renewed_at)
                renewed.setdefault(times, []).append(attempt.id)
        for times, ids in renewed.items():
            values = dict(zip(_RENEWAL, times, strict=True))
            pipeline.write(session, sql.RENEW, [{"ids": _padded(ids), **values}])
        reporting = [
            {**_values(attempt, _RENEWAL), "usage": self.usages.pop(attempt.id)}
            for attempt in held
            if attempt.id in self.usages
        ]
        pipeline.write(session, sql.SAVE_LEASE, reporting)
        ended = [_values(attempt, _END) for attempt in changed if attempt.ended_at is not None]
        pipeline.write(session, sql.SAVE_LEASE, ended)
        for attempt in changed:
            self._read_attempts[attempt.id] = replace(attempt)

    def _save_logs(self, session: Session) -> None:
        if self.logs:
            statement = sql.SAVE_LOG[session.connection().dialect.name]
            pipeline.write(session, statement, [self.logs[key] for key in sorted(self.logs)])
            self.logs.clear()


def prepare(session: Session, needs: Sequence[Need]) -> None:
    """Begin the transaction of a group of works: lock and read all that they need, at once.

    First their studies, then their leases and workers, and the loads of those studies that are
    asked for a trial.
    """
    batch = batch_of(session)
    reads = [*_rows_needed(session, batch, needs), *_histories_needed(batch, needs)]
    queries = [query for queries, _ in reads for query in queries]
    found = iter(pipeline.read(session, queries, begins=True))
    for asked, take in reads:
        take(*(next(found) for _ in asked))


def _rows_needed(session: Session, batch: "Batch", needs: Sequence[Need]) -> Iterator[_Read]:
    """One read a table."""
    asked = {need.study for need in needs if need.is_late}
    leases = {need.lease for need in needs if need.lease is not None}
    names = {need.worker for need in needs if need.worker is not None}
    studies = {need.study for need in needs}
    yield _keyed(sql.LOCK_ROWS, "ids", studies), partial(batch.add_studies, session)
    if leases:
        yield _keyed(sql.LEASES, "ids", leases), batch.add_leases
    if names:
        yield _keyed(sql.NAMED, "names", names), batch.add_workers
    if asked:
        yield _keyed(sql.LOAD, "ids", asked), partial(batch.set_loads, asked)


def _histories_needed(batch: "Batch", needs: Sequence[Need]) -> Iterator[_Read]:
    """Two reads for each study of which somebody wants to know what changed."""
    wanted: dict[int, Since] = {}
    for need in needs:
        if need.since is not None:
            others = wanted.get(need.study, need.since)
            wanted[need.study] = min(others, need.since, key=lambda since: since.revision)
    for study_id, since in wanted.items():
        yield observed.queries(study_id, since), partial(batch.set_history, study_id, since)


def _keyed(statement: Select[Any], name: str, keys: Collection[Any]) -> tuple[Query]:
    return (Query(statement, {name: _padded(sorted(keys))}),)


def write(session: Session) -> None:
    """Write what the transaction has gathered, so that what it reads next is true."""
    batch_of(session).write(session)


def forget_history(session: Session, study: Study) -> None:
    """Let whoever asks what changed of a study read it again: the transaction changes more."""
    batch_of(session).histories.pop(study.id, None)


def study_from(row: Sequence[Any]) -> Study:
    """The study that a row of all its columns is; no session knows it."""
    return Study(**dict(zip(sql.STUDY, row, strict=True)))


def batch_of(session: Session) -> Batch:
    """What this session's transaction has read and is going to write."""
    batch: Batch = session.info.setdefault(_BATCH, Batch())
    return batch


def _padded(keys: Sequence[Any]) -> list[Any]:
    """The keys, the last one repeated: few lengths of IN are few statements to prepare."""
    size = 1 << (len(keys) - 1).bit_length()
    return [*keys, *[keys[-1]] * (size - len(keys))]


def _changes(study: Study) -> dict[str, Any]:
    """The columns of a study that were set to something else since it was read."""
    return {each.key: each.value for each in inspect(study).attrs if each.history.has_changes()}


def _values(record: HeldAttempt | HeldTrial, names: Sequence[str]) -> dict[str, Any]:
    return {"which": record.id, **{name: getattr(record, name) for name in names}}


def _differ(one: HeldTrial, other: HeldTrial, names: Sequence[str]) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in names)
