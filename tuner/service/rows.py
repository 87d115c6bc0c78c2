"""From rows to views; pure, and no queries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from tuner.service import faults
from tuner.spec.config import TrialConfig
from tuner.spec.messages import ArtifactRef, Capabilities, Verdict
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import (
    AttemptView,
    Event,
    StepView,
    StudySummary,
    TrialCounts,
    TrialSummary,
    WorkerView,
)
from tuner.store import tables
from tuner.store.hot import HeldTrial

_KEPT = 256
_SPECS: dict[int, tuple[dict[str, Any], StudySpec]] = {}


def spec_of(study: tables.Study) -> StudySpec:
    """The study's document; parsing it costs more than all else in a heartbeat, so it is kept."""
    known = _SPECS.get(study.id)
    if known is None or known[0] != study.spec:
        if len(_SPECS) >= _KEPT:
            _SPECS.clear()
        known = _SPECS[study.id] = (study.spec, StudySpec.model_validate(study.spec))
    return known[1]


def study_summary(
    study: tables.Study,
    counts: Mapping[TrialState, int],
    *,
    best: tables.Trial | None,
    base_value: float | None,
) -> StudySummary:
    """A study as a list shows it."""
    spec = spec_of(study)
    return StudySummary(
        id=study.id,
        name=study.name,
        state=StudyState(study.state),
        reason=study.reason,
        priority=study.priority,
        objective=spec.objective,
        budget=spec.search.trials + study.confirmations + study.copies,
        counts=TrialCounts(**{state.value: number for state, number in counts.items()}),
        epochs=study.epochs,
        best_value=None if best is None else best.value,
        best_trial=None if best is None else best.number,
        base_value=base_value,
        created_at=study.created_at,
        started_at=study.started_at,
        finished_at=study.finished_at,
    )


def trial_summary(trial: tables.Trial, spec: StudySpec, worker: str | None) -> TrialSummary:
    """A trial as a table row shows it."""
    values = objective_values(spec, trial.metrics)
    return TrialSummary(
        number=trial.number,
        state=TrialState(trial.state),
        params=trial.params,
        value=trial.value,
        best_value=trial.best_value,
        values=values,
        step=trial.step,
        epochs=trial.epochs,
        feasible=trial.feasible,
        attempts=trial.attempts,
        worker=worker,
        source=TrialSource(trial.source),
        confirms=trial.attrs.get("confirms") if trial.source == TrialSource.CONFIRM else None,
        copies=trial.attrs.get("copies") if trial.source == TrialSource.COPY else None,
        data_version=trial.data_version,
        reason=trial.reason or trial.verdict.get("reason", ""),
        seconds=trial.seconds,
        created_at=trial.created_at,
        started_at=trial.started_at,
        finished_at=trial.finished_at,
    )


def as_trained(trial: tables.Trial) -> TrialConfig:
    """The trial's config with the micro-batch that memory allowed: another one trains otherwise.

    Batch norms see a micro-batch at a time, so its size is part of what gave the trial's value.
    """
    config = TrialConfig.model_validate(trial.config)
    used = trial.provenance.get("micro_batch")
    if used is None or used >= config.training.batch_size:
        return config
    training = config.training.model_copy(update={"micro_batch": used})
    return config.model_copy(update={"training": training})


def objective_values(spec: StudySpec, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
    """The metrics that the study's objectives name, or None while one is missing."""
    names = [objective.metric for objective in spec.objectives]
    return tuple(metrics[name] for name in names) if all(n in metrics for n in names) else None


def step_view(report: tables.Report) -> StepView:
    """The metrics of one step."""
    return StepView(
        step=report.step,
        metrics=report.metrics,
        seconds=report.seconds,
        attempt=report.attempt,
        created_at=report.created_at,
    )


def attempt_view(attempt: tables.Attempt, worker: str) -> AttemptView:
    """One lease of a trial."""
    return AttemptView(
        number=attempt.number,
        worker=worker,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        expires_at=attempt.expires_at if attempt.ended_at is None else None,
        outcome=attempt.outcome,
        error=attempt.error,
        error_kind=attempt.error_kind,
    )


def artifact_ref(row: tables.Artifact) -> ArtifactRef:
    """A stored file."""
    return ArtifactRef(
        id=row.id, name=row.name, kind=row.kind, size=row.size, sha256=row.sha256, step=row.step
    )


def event_view(row: tables.Event) -> Event:
    """One change of a study."""
    return Event(
        seq=row.seq, kind=row.kind, trial=row.trial, data=row.data, created_at=row.created_at
    )


def verdict_of(trial: tables.Trial | HeldTrial) -> Verdict:
    """The last verdict on a trial."""
    return Verdict.model_validate(trial.verdict)


def worker_view(
    worker: tables.Worker,
    trial: tables.Trial | None,
    study: tables.Study | None,
    *,
    gone: bool,
    now: datetime,
) -> WorkerView:
    """A worker and what it is doing, or why it can do nothing."""
    unfit = faults.told(faults.read(worker.unfit, now=now))
    free: Literal["gone", "unfit", "idle"] = "gone" if gone else "unfit" if unfit else "idle"
    return WorkerView(
        name=worker.name,
        state=free if trial is None else "busy",
        unfit_reason=unfit,
        capabilities=Capabilities.model_validate(worker.capabilities),
        study=None if study is None else study.name,
        study_id=None if study is None else study.id,
        trial=None if trial is None else trial.number,
        first_seen_at=worker.first_seen_at,
        last_seen_at=worker.last_seen_at,
        trials_done=worker.trials_done,
    )
