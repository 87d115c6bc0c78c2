"""Our side: the use cases of the service itself, on a database of their own, in simulated time."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import thread_time
from typing import cast

from sqlalchemy.orm import Session

from benchmarks.search.simulator import LEASE_SECONDS, Clock, Job
from benchmarks.search.task import params_in
from tuner.search.rules import Rules
from tuner.search.suggest import Draw
from tuner.service import assignments, leases, studies, upkeep
from tuner.service.searches import Search, Searches
from tuner.spec.messages import (
    Action,
    Assignment,
    LeaseRequest,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
    Verdict,
)
from tuner.spec.study import StudySpec
from tuner.store import chart_rows
from tuner.store import studies as stored
from tuner.store.engine import Database
from tuner.store.migrate import upgrade
from tuner.store.tables import Study

START = datetime(2026, 1, 1, tzinfo=UTC)
# Heartbeats are not simulated one by one: a living worker's lease just lasts.
LIVING_SECONDS = 1e8
KINDS: Mapping[Action, OutcomeKind] = {
    Action.CONTINUE: OutcomeKind.COMPLETED,
    Action.PAUSE: OutcomeKind.PAUSED,
    Action.PRUNE: OutcomeKind.PRUNED,
    Action.STOP: OutcomeKind.STOPPED,
    Action.YIELD: OutcomeKind.YIELDED,
}


@dataclass(slots=True)
class Times:
    """Processor seconds of each decision of the search, and of each call of the service."""

    draw: list[float] = field(default_factory=list)
    verdict: list[float] = field(default_factory=list)
    promotion: list[float] = field(default_factory=list)
    take: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)
    finish: list[float] = field(default_factory=list)
    ahead: float = 0.0  # of the next draw, before its transaction began


class ServiceTuner:
    """A study in the service, as its workers see it."""

    def __init__(self, db: Database, spec: StudySpec) -> None:
        self._db, self._spec = db, spec
        self.times = Times()
        self._searches = _TimedSearches(self.times)
        self._judged = Rules(spec).judged_steps
        studies.submit(db, spec)

    def take(self, worker: int) -> Job | None:
        """Lease a trial."""
        request = LeaseRequest(worker=f"simulated-{worker}")
        with _timed(self.times.take):
            held = assignments.take(
                self._db, request, lease_seconds=LIVING_SECONDS, searches=self._searches
            )
        if held is None:
            return None
        params = params_in(self._spec, held.config.model_dump(mode="json"))
        return Job(held.trial, params, held.last_step, held)

    def stop(self, job: Job, step: int) -> int:
        """The next step at which trials are judged, or the last one."""
        if self._judged is None:
            return step + 1
        epochs = self._spec.base.training.epochs
        return min((each for each in self._judged if each > step), default=epochs)

    def report(self, job: Job, values: Mapping[int, float], seconds: Mapping[int, float]) -> Action:
        """Send a batch of reports; the reply is the verdict."""
        metric, held = self._spec.objective.metric, _held(job)
        batch = ReportBatch(
            reports=tuple(
                Report(step=step, metrics={metric: value}, seconds=seconds[step])
                for step, value in values.items()
            )
        )
        with _timed(self.times.report):
            status = leases.report(
                self._db,
                held.lease,
                held.token,
                batch,
                lease_seconds=LIVING_SECONDS,
                searches=self._searches,
            )
        return status.verdict.action

    def finish(self, job: Job, action: Action, step: int) -> None:
        """Hand the trial in."""
        held = _held(job)
        with _timed(self.times.finish):
            leases.finish(self._db, held.lease, held.token, Outcome(kind=KINDS[action], step=step))

    def lose(self, job: Job) -> None:
        """Send the last heartbeat."""
        held = _held(job)
        leases.heartbeat(self._db, held.lease, held.token, lease_seconds=LEASE_SECONDS)

    def notice(self) -> None:
        """Release expired leases."""
        upkeep.run(self._db)

    def origins(self) -> list[str]:
        """What drew each trial: one of several samplers, or the trial's source."""
        with self._db.reading() as session:
            study = stored.find(session, self._spec.name)
            return [trial.origin for trial in chart_rows.outlines(session, study.id)]


class _TimedSearches(Searches):
    """Searches whose decisions are timed by themselves, without the store."""

    def __init__(self, times: Times) -> None:
        super().__init__()
        self._times = times

    @contextmanager
    def of(
        self,
        session: Session,
        study: Study,
        rules: Rules,
        *,
        version: str | None = None,
        may_lag: bool = False,
    ) -> Iterator[Search]:
        with super().of(session, study, rules, version=version, may_lag=may_lag) as search:
            yield cast(Search, _TimedSearch(search, self._times))


class _TimedSearch:
    def __init__(self, search: Search, times: Times) -> None:
        self._search, self._times = search, times

    @property
    def revision(self) -> int:
        return self._search.revision

    def prepare(self, number: int, revision: int, *, latest: bool) -> None:
        began = thread_time()
        self._search.prepare(number, revision, latest=latest)
        self._times.ahead += thread_time() - began

    def draw(self, number: int, *, latest: bool) -> Draw:
        with _timed(self._times.draw):
            draw = self._search.draw(number, latest=latest)
        self._times.draw[-1] += self._times.ahead
        self._times.ahead = 0.0
        return draw

    def judge(self, number: int, step: int, *, closing: bool) -> Verdict:
        with _timed(self._times.verdict):
            return self._search.judge(number, step, closing=closing)

    def warnings(self) -> dict[str, str]:
        with _timed(self._times.verdict):
            return self._search.warnings()

    def promotion(self, *, closing: bool) -> tuple[int, str] | None:
        with _timed(self._times.promotion):
            return self._search.promotion(closing=closing)

    def donors(self, number: int) -> tuple[int, ...]:
        with _timed(self._times.promotion):
            return self._search.donors(number)


@contextmanager
def database(clock: Clock) -> Iterator[Database]:
    """An empty, migrated database whose time is the simulation's; in memory where it can be."""
    with tempfile.TemporaryDirectory(prefix="segtune-benchmark-", dir=_memory()) as folder:
        path = Path(folder) / "simulated.db"
        shutil.copyfile(_template(), path)
        db = Database(f"sqlite:///{path}", clock=lambda: START + timedelta(seconds=clock.now))
        try:
            yield db
        finally:
            db.dispose()


@cache
def _template() -> Path:
    """A migrated database to copy, made once per process."""
    folder = tempfile.TemporaryDirectory(prefix="segtune-benchmark-", dir=_memory())
    _KEPT.append(folder)
    path = Path(folder.name) / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


_KEPT: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def _memory() -> Path | None:
    shared = Path("/dev/shm")  # noqa: S108  # a folder in memory: nothing of value is written
    return shared if shared.is_dir() else None


def _held(job: Job) -> Assignment:
    assert isinstance(job.lease, Assignment)
    return job.lease


@contextmanager
def _timed(times: list[float]) -> Iterator[None]:
    began = thread_time()
    yield
    times.append(thread_time() - began)
