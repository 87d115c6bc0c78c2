"""From rows to views; pure, and no queries."""

import logging
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

from pydantic import ValidationError

from tuner.service import documents, faults
from tuner.spec.config import TrialConfig
from tuner.spec.failures import gist
from tuner.spec.fleet import WorkerState, WorkerView
from tuner.spec.messages import ArtifactRef, Capabilities
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import (
    AttemptView,
    Event,
    StepView,
    StudySummary,
    TrialCounts,
    TrialSummary,
)
from tuner.spec.vitals import Usage
from tuner.store import deletion, lineage, tables
from tuner.store.workers import WorkerRow

logger = logging.getLogger(__name__)
_MESSAGE = 1000  # of an error text in a list of trials; the whole may have 20,000 and a traceback


class StudyResult(NamedTuple):
    """What a study's trials have come to."""

    best_value: float | None
    best_trial: int | None
    base_value: float | None
    epochs_saved: int
    seconds_saved: float
    trend: tuple[tuple[int, float], ...] = ()


def study_summary(
    study: tables.Study,
    counts: Mapping[TrialState, int],
    result: StudyResult,
    *,
    waiting_for: str | None = None,
) -> StudySummary:
    """A study as a list shows it. Raises Unreadable."""
    spec = documents.spec_of(study)
    return StudySummary(
        id=study.id,
        name=study.deleted_name or study.name,
        state=StudyState(deletion.state_of(study)),
        reason=study.reason,
        priority=study.priority,
        owner=study.owner,
        objective=spec.objective,
        budget=spec.search.trials + study.confirmations + study.copies,
        counts=TrialCounts(**{state.value: number for state, number in counts.items()}),
        epochs=study.epochs,
        device_seconds=study.seconds,
        deleted_at=study.deleted_at,
        created_at=study.created_at,
        started_at=study.started_at,
        finished_at=study.finished_at,
        waiting_for=waiting_for,
        **result._asdict(),
    )


def damaged_study(
    study: tables.Study, counts: Mapping[TrialState, int], error: Exception
) -> StudySummary:
    """A study that cannot be shown as it is: failed unless it had ended, with the reason."""
    logger.debug("study %s (id %s) cannot be shown: %s", study.name, study.id, error)
    shown = deletion.state_of(study)
    ended = [state for state in StudyState if state.has_ended and state == shown]
    return StudySummary(
        id=study.id,
        name=study.deleted_name or study.name,
        deleted_at=study.deleted_at,
        state=ended[0] if ended else StudyState.FAILED,
        reason=documents.why(error, f"study '{study.name}'"),
        readable=False,
        priority=int(_number(study.priority)),
        owner=study.owner,
        objective=_objective(study.spec),
        budget=sum(counts.values()),
        counts=TrialCounts(**{state.value: number for state, number in counts.items()}),
        epochs=int(_number(study.epochs)),
        created_at=study.created_at,
        started_at=study.started_at,
        finished_at=study.finished_at,
    )


def _objective(document: Any) -> Objective:
    """The first objective of a document that is otherwise unreadable, as far as it says one."""
    try:
        return Objective.model_validate(document["objectives"][0])
    except documents.DAMAGED:
        return Objective(metric="unknown")


def trial_summary(trial: tables.Trial, spec: StudySpec, worker: str | None) -> TrialSummary:
    """A trial as a table row shows it; a damaged one is shown as failed, with the reason."""
    try:
        return _trial_summary(trial, spec, worker)
    except documents.DAMAGED as error:
        return _damaged_trial(trial, error)


def _damaged_trial(trial: tables.Trial, error: Exception) -> TrialSummary:
    logger.debug("trial row %s cannot be shown: %s", trial.id, error)
    return TrialSummary(
        number=trial.number,
        state=TrialState.FAILED,
        params=_mapping(trial.params),
        step=int(_number(trial.step)),
        epochs=int(_number(trial.epochs)),
        attempts=int(_number(trial.attempts)),
        reason=documents.why(error, f"trial {trial.number}"),
        seconds=_number(trial.seconds),
        created_at=trial.created_at,
        started_at=trial.started_at,
        finished_at=trial.finished_at,
    )


def _number(value: Any) -> float:
    """A finite number, or 0 in place of anything else."""
    return value if isinstance(value, int | float) and isfinite(value) else 0


def _mapping(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _trial_summary(trial: tables.Trial, spec: StudySpec, worker: str | None) -> TrialSummary:
    values = spec.objective_values(trial.metrics)
    parent, _ = lineage.of(trial)
    return TrialSummary(
        number=trial.number,
        state=TrialState(trial.state),
        params=trial.params,
        value=trial.value,
        value_step=trial.value_step or trial.step or None,
        best_value=trial.best_value,
        values=values,
        step=trial.step,
        epochs=trial.epochs,
        feasible=trial.feasible,
        attempts=trial.attempts,
        worker=worker,
        source=TrialSource(trial.source),
        drawn_by=lineage.drawn_by(trial),
        confirms=parent if trial.source == TrialSource.CONFIRM else None,
        copies=parent if trial.source == TrialSource.COPY else None,
        data_version=trial.data_version,
        reason=trial.reason or trial.verdict.get("reason", ""),
        error=None if trial.error is None else gist(trial.error, _MESSAGE),
        error_kind=trial.error_kind,
        seconds=trial.seconds,
        created_at=trial.created_at,
        started_at=trial.started_at,
        finished_at=trial.finished_at,
    )


def as_trained(trial: tables.Trial) -> TrialConfig:
    """The trial's config with the micro-batch that memory allowed: another one trains otherwise.

    Batch norms see a micro-batch at a time, so its size is part of what gave the trial's value.
    """
    config = documents.config_of(trial)
    used = trial.provenance.get("micro_batch")
    if used is None or used >= config.training.batch_size:
        return config
    training = config.training.model_copy(update={"micro_batch": used})
    return config.model_copy(update={"training": training})


def step_view(report: tables.Report) -> StepView:
    """The metrics of one step."""
    return StepView(
        step=report.step,
        metrics=report.metrics,
        seconds=report.seconds,
        attempt=report.attempt,
        created_at=report.created_at,
    )


def attempt_view(attempt: tables.Attempt, worker: tables.Worker) -> AttemptView:
    """One lease of a trial, and the device that its worker has."""
    return AttemptView(
        number=attempt.number,
        worker=worker.name,
        device=capabilities_of(worker.name, worker.capabilities).device,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        expires_at=attempt.expires_at if attempt.ended_at is None else None,
        outcome=attempt.outcome,
        error=attempt.error,
        error_kind=attempt.error_kind,
        reason=attempt.reason or "",
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


def capabilities_of(worker: str, document: Any) -> Capabilities:
    """What a worker said it can do, as far as this release understands it."""
    try:
        return Capabilities.model_validate(document)
    except ValidationError as error:
        logger.debug("capabilities of worker %s cannot be read: %s", worker, error)
    found = Capabilities()
    for name in Capabilities.model_fields.keys() & _mapping(document):
        try:
            found = Capabilities.model_validate({**found.model_dump(), name: document[name]})
        except ValidationError:
            continue  # the others may be sound
    return found


def worker_view(
    row: WorkerRow, *, speed: float, lost: int, held: int, gone_before: datetime, now: datetime
) -> WorkerView:
    """A worker and what it is doing, at what speed, or why it can do nothing."""
    worker, attempt, trial, study, _ = row
    unfit = faults.described(faults.read(worker.unfit, now=now))
    renewed_at = None if attempt is None else attempt.renewed_at
    seen = max(worker.last_seen_at, renewed_at or worker.last_seen_at)
    return WorkerView(
        name=worker.name,
        state=_worker_state(row, unfit=unfit, is_gone=seen < gone_before),
        unfit_reason=unfit,
        drained_at=worker.drained_at,
        capabilities=capabilities_of(worker.name, worker.capabilities),
        study=None if study is None else study.name,
        study_id=None if study is None else study.id,
        trial=None if trial is None else trial.number,
        running=held,
        step=None if trial is None else trial.step,
        epochs=None if trial is None else trial.epochs,
        images_per_second=speed or None,
        usage=None if attempt is None else _usage(worker.name, attempt.usage),
        lost=lost,
        first_seen_at=worker.first_seen_at,
        last_seen_at=seen,
        trials_done=worker.trials_done,
    )


def speed_of(row: WorkerRow) -> float:
    """Images per second of the last epoch reported under a lease; 0 where there is none."""
    return _number(_mapping(row.metrics).get("images_per_second"))


def _worker_state(row: WorkerRow, *, unfit: str | None, is_gone: bool) -> WorkerState:
    is_drained = row.worker.drained_at is not None
    if row.attempt is not None:
        return "draining" if is_drained else "busy"
    if is_gone:
        return "gone"
    return "drained" if is_drained else "unfit" if unfit else "idle"


def _usage(worker: str, document: Any) -> Usage | None:
    """How busy a worker's device was, as far as this release understands it."""
    try:
        return None if document is None else Usage.model_validate(document)
    except ValidationError as error:
        logger.debug("usage of worker %s cannot be read: %s", worker, error)
        return None
