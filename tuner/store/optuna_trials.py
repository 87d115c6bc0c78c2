"""Our rows as Optuna's frozen trials: pure, no queries."""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tuner.optuna_encoding import encode
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.store import lineage
from tuner.store.tables import Trial

STATES: Mapping[TrialState, OptunaState] = {
    TrialState.WAITING: OptunaState.WAITING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.PAUSED: OptunaState.WAITING,
    TrialState.COMPLETED: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.CANCELLED: OptunaState.FAIL,
}
_CONSTRAINT = "constraints:"  # where Optuna 5 keeps one constraint of a trial
_UNKNOWN_VIOLATION = 1e12  # a metric that was never measured keeps no bound; finite for JSON


def directions(spec: StudySpec) -> list[StudyDirection]:
    """Optuna's direction of each objective."""
    return [
        StudyDirection.MAXIMIZE if objective.direction == "maximize" else StudyDirection.MINIMIZE
        for objective in spec.objectives
    ]


def frozen_trial(
    trial: Trial,
    spec: StudySpec,
    *,
    known: Mapping[str, BaseDistribution],
    worker: str | None,
    steps: Mapping[int, float],
) -> FrozenTrial:
    """One trial as Optuna reads it; `steps` are the first objective's values.

    A completed trial without a finite value of every objective is shown as failed, because
    Optuna has no complete trial without values.
    """
    params, distributions = encode(spec.space, trial.params, known=known)
    values = _values(trial, spec)
    state = STATES[TrialState.known(trial.state)]
    if state is OptunaState.COMPLETE and values is None:
        state = OptunaState.FAIL
    shows_values = state in {OptunaState.COMPLETE, OptunaState.PRUNED}
    started = trial.started_at or (trial.created_at if state is not OptunaState.WAITING else None)
    ended = trial.finished_at or trial.created_at
    return FrozenTrial(
        number=trial.number,
        trial_id=trial.id,
        state=state,
        value=None,
        values=values if shows_values else None,
        datetime_start=None if started is None else _local(started),
        datetime_complete=_local(ended) if state.is_finished() else None,
        params=params,
        distributions=distributions,
        user_attrs=_user_attrs(trial, worker),
        system_attrs={**lineage.of_samplers(trial), **_constraints(trial, spec)},
        intermediate_values={step: value for step, value in steps.items() if isfinite(value)},
    )


def _values(trial: Trial, spec: StudySpec) -> list[float] | None:
    values = spec.objective_values(trial.metrics)
    return None if values is None or not all(map(isfinite, values)) else [*map(float, values)]


def _constraints(trial: Trial, spec: StudySpec) -> dict[str, float]:
    """Violations by metric: above 0 is infeasible. A trial without a step has only those that are
    measured before it is trained.
    """
    constraints = spec.constraints if trial.step else spec.measured_constraints
    if not trial.metrics:
        return {}
    found: dict[str, float] = {}
    for constraint in constraints:
        value = trial.metrics.get(constraint.metric)
        violation = _UNKNOWN_VIOLATION
        if value is not None and isfinite(value):
            violation = constraint.violation(value)
        key = _CONSTRAINT + constraint.metric
        found[key] = max(found.get(key, 0.0), violation)
    return found


def _user_attrs(trial: Trial, worker: str | None) -> dict[str, Any]:
    """What Optuna has no word for, and the metrics of the step that counts under their names."""
    parent, replica = lineage.of(trial)
    attrs = {
        "state": trial.state,
        "source": trial.source,
        "parent": parent,
        "replica": replica,
        "worker": worker,
        "reason": trial.reason or trial.verdict.get("reason") or None,
        "error": trial.error,
        "data_version": trial.data_version,
        "step": trial.step,
        "seconds": trial.seconds,
    }
    return {name: value for name, value in attrs.items() if value is not None} | trial.metrics


def _local(time: datetime) -> datetime:
    """Optuna keeps naive local times, and compares them with its own."""
    return time.astimezone().replace(tzinfo=None)
