"""Studies and trials as they are shown: each by itself, so that a damaged one spoils no other."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.service import confirmations, documents, views
from tuner.service.demands import Member, disagreements, waiting_for
from tuner.service.faults import Known, kept_from, read
from tuner.service.tracks import Track, tracks
from tuner.service.views import StudyResult
from tuner.spec.fleet import WorkerView
from tuner.spec.messages import Capabilities
from tuner.spec.states import TrialState
from tuner.spec.versions import DataVersion, DataVersions
from tuner.spec.views import StudySummary, StudyView, TrialSummary, TrialView
from tuner.store import artifacts, hot, leases, reports, studies, trials, workers
from tuner.store import versions as version_rows
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

DRAINED = "it is drained; `segtune undrain` lets it take trials again"
GONE_AFTER = timedelta(seconds=120)  # a worker that was silent for so long, and holds no trial


class Present(NamedTuple):
    """A worker that is there: seen lately, or with a trial in hand; and what keeps it from work."""

    name: str
    capabilities: Capabilities
    known: Known
    is_drained: bool = False
    id: int = 0

    def for_study(self, study_id: int) -> Member:
        """It as that study sees it."""
        unfit = DRAINED if self.is_drained else kept_from(self.known, study_id)
        return Member(self.name, self.capabilities, unfit)


def summaries(db: Database, session: Session, shown: Collection[Study]) -> tuple[StudySummary, ...]:
    """Each study with its counts, its best so far, and why it waits."""
    counts = studies.count_trials(session, [row.id for row in shown])
    idle = any(_may_wait(row, counts[row.id]) for row in shown)
    present = fleet(session, now=db.now()) if idle else ()
    known = tracks(db, session, shown)
    return tuple(_shown(session, row, counts[row.id], present, known.get(row.id)) for row in shown)


def _shown(
    session: Session,
    row: Study,
    counts: Mapping[TrialState, int],
    present: Collection[Present],
    track: Track | None,
) -> StudySummary:
    try:
        result = _result(session, row) if track is None else result_of(session, row, track)
        return _summary(row, counts, present, result)
    except documents.DAMAGED as error:
        return views.damaged_study(row, counts, error)


def result_of(session: Session, row: Study, track: Track) -> StudyResult:
    """What a study's trials have come to, by its track. Raises Unreadable."""
    best_value, best_trial = track.best, track.trial
    if row.confirmations:  # then the leader may be another one
        best = confirmations.leader(session, row, documents.spec_of(row))
        best_value, best_trial = (best.value, best.number) if best else (None, None)
    return StudyResult(
        best_value=best_value,
        best_trial=best_trial,
        base_value=track.base,
        epochs_saved=0 if row.copies else track.epochs_saved,
        seconds_saved=0.0 if row.copies else track.seconds_saved,
        trend=track.trend(),
    )


def _result(session: Session, row: Study) -> StudyResult:
    """What a study's trials have come to, asked of the database. Raises Unreadable."""
    best = confirmations.leader(session, row, documents.spec_of(row))
    epochs_saved, seconds_saved = trials.saved(session, row)
    return StudyResult(
        best_value=None if best is None else best.value,
        best_trial=None if best is None else best.number,
        base_value=trials.base_value(session, row),
        epochs_saved=epochs_saved,
        seconds_saved=seconds_saved,
    )


def _summary(
    row: Study,
    counts: Mapping[TrialState, int],
    present: Collection[Present],
    result: StudyResult,
) -> StudySummary:
    rules = documents.rules_of(row)
    spec, fleet = rules.spec, [worker.for_study(row.id) for worker in present]
    reason = None
    if _may_wait(row, counts):
        reason = rules.withheld or waiting_for(
            spec.resources, fleet, spec.deployment, rules.packages
        )
    return views.study_summary(row, counts, result, waiting_for=reason)


def _may_wait(row: Study, counts: Mapping[TrialState, int]) -> bool:
    """Whether a study wants a worker and has none."""
    return row.state in studies.OPEN and not counts.get(TrialState.RUNNING)


def fleet(session: Session, *, now: datetime) -> tuple[Present, ...]:
    """The workers that are there, by name."""
    return tuple(
        Present(
            worker.name,
            views.capabilities_of(worker.name, worker.capabilities),
            read(worker.unfit, now=now),
            worker.drained_at is not None,
            worker.id,
        )
        for worker in workers.living(session, since=now - GONE_AFTER)
    )


def workers_seen(session: Session, *, now: datetime) -> tuple[WorkerView, ...]:
    """Every worker that has ever asked, the last seen first."""
    rows = workers.list_all(session)
    found = {row.worker.id: row for row in rows}
    held = Counter(row.worker.id for row in rows if row.attempt is not None)
    speeds: defaultdict[int, float] = defaultdict(float)
    for row in rows:
        speeds[row.worker.id] += views.speed_of(row)
    lost = workers.count_lost(session)
    return tuple(
        views.worker_view(
            row,
            speed=speeds[key],
            lost=lost.get(key, 0),
            held=held[key],
            gone_before=now - GONE_AFTER,
            now=now,
        )
        for key, row in found.items()
    )


def study_view(session: Session, row: Study, *, now: datetime) -> StudyView:
    """The view of a study within a transaction. Raises Unreadable."""
    hot.write(session)
    with documents.whole(f"study '{row.name}' (id {row.id})"):
        return _view(session, row, now=now)


def _view(session: Session, row: Study, *, now: datetime) -> StudyView:
    rules = documents.rules_of(row)
    counts = studies.count_trials(session, [row.id])[row.id]
    needed = rules.packages if row.state in studies.OPEN else {}
    present = fleet(session, now=now) if needed or _may_wait(row, counts) else ()
    lacking = disagreements(needed, [each.for_study(row.id) for each in present])
    summary = _summary(row, counts, present, _result(session, row))
    return StudyView(
        **{name: getattr(summary, name) for name in StudySummary.model_fields},
        spec=rules.spec,
        last_event=row.event_seq,
        warnings=(*studies.warnings_of(row).values(), *lacking),
        data_versions=_data_versions(session, row),
    )


def _data_versions(session: Session, row: Study) -> tuple[DataVersion, ...]:
    known = DataVersions.of(row.data_versions)
    if not known.seen:
        return ()
    counts = version_rows.count(session, row.id)
    return tuple(
        DataVersion(
            fingerprint=version, trials=counts.get(version, 0), ranked=version == known.ranked
        )
        for version in known.seen
    )


def trial_view(session: Session, row: Study, trial: Trial) -> TrialView:
    """The view of a trial within a transaction. Raises Unreadable."""
    hot.write(session)
    with documents.whole(f"trial {trial.number} of study '{row.name}'"):
        return _trial_view(session, row, trial)


def _trial_view(session: Session, row: Study, trial: Trial) -> TrialView:
    history = leases.history(session, trial.id)
    worker = history[-1][1].name if history else None
    summary = views.trial_summary(trial, documents.spec_of(row), worker)
    own = {"error", "metrics"}
    return TrialView(
        **{name: getattr(summary, name) for name in TrialSummary.model_fields if name not in own},
        study_id=row.id,
        study=row.name,
        config=documents.config_of(trial),
        metrics=trial.metrics,
        confusion=reports.counted_confusion(session, trial.id),
        verdict=trials.verdict_of(trial),
        error=trial.error,
        provenance=trial.provenance,
        attempt_history=tuple(views.attempt_view(attempt, worker) for attempt, worker in history),
        artifacts=tuple(map(views.artifact_ref, artifacts.list_for(session, trial.id))),
    )
