"""What trials of a study have reached: learning curves, the history, and the best."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.service import confirmations, documents, rankings, views
from tuner.spec.examples import SHEETS
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.spec.versions import DataVersions, is_comparable
from tuner.spec.views import Best, Curve, StepView
from tuner.store import artifacts, reports, studies, trials
from tuner.store.tables import Study, Trial


class HistoryRow(NamedTuple):
    """An ended trial as a `HistoryPoint` says it, for whoever draws ten thousand of them."""

    trial: int
    state: TrialState
    value: float | None
    best: float | None
    epochs: int | None = None
    device_seconds: float | None = None
    finished_at: datetime | None = None


def steps(session: Session, trial: Trial, *, after: int = 0) -> tuple[StepView, ...]:
    """The reports of a trial after a step, in order. Raises Unreadable."""
    with documents.whole(f"a report of trial {trial.number}"):
        return tuple(map(views.step_view, reports.list_for(session, trial.id, after=after)))


def newest_curves(
    session: Session,
    study: Study,
    *,
    metric: str | None = None,
    states: Collection[TrialState] | None = None,
    limit: int = 50,
) -> tuple[Curve, ...]:
    """Curves of the newest trials, running ones first; of the first objective when None."""
    chosen = trials.newest(session, study.id, states=states, limit=limit)
    return curves(session, study, chosen, metric=metric)


def curves(
    session: Session, study: Study, chosen: Sequence[Trial], *, metric: str | None = None
) -> tuple[Curve, ...]:
    """Curves of these trials."""
    ids = [trial.id for trial in chosen]
    if metric in {None, documents.spec_of(study).objective.metric}:
        values = reports.values_of(session, ids)
    else:
        values = reports.metric_of(session, ids, str(metric))
    return tuple(
        Curve(
            trial=trial.number,
            state=TrialState.known(trial.state),
            steps=tuple(values[trial.id]),
            values=tuple(values[trial.id].values()),
        )
        for trial in chosen
    )


def history(
    session: Session,
    study: Study,
    *,
    only: Collection[int] | None = None,
    by: Objective | None = None,
    values: Mapping[int, float] | None = None,
) -> tuple[HistoryRow, ...]:
    """Ended trials in order of ending, with the best feasible value so far.

    Args:
        only: numbers of the trials that count; None is all.
        by: what is best where it is not the study's objective, with each trial's `values` of it.
    """
    objective = by or documents.spec_of(study).objective
    ranked = DataVersions.of(study.data_versions).ranked
    points, best = [], None
    for one in trials.ended(session, study.id):
        if only is not None and one.number not in only:
            continue
        value = one.value if values is None else values.get(one.number)
        counts = one.feasible and is_comparable(one.data_version, ranked)
        if one.state == TrialState.COMPLETED and counts and value is not None:
            best = value if best is None or objective.is_better(value, best) else best
        points.append(
            HistoryRow(
                trial=one.number,
                state=TrialState.known(one.state),
                value=value,
                best=best,
                epochs=one.epochs,
                device_seconds=one.seconds,
                finished_at=one.finished_at,
            )
        )
    return tuple(points)


def best(
    session: Session,
    study: Study,
    spec: StudySpec,
    *,
    objective: str | None = None,
    direction: str | None = None,
) -> Best:
    """The best feasible completed trial, by the study's first objective or any other metric.

    Raises:
        NotFound: there is none, with the reason.
        InvalidSpec: no metric is called so.
    """
    ranked_by = rankings.objective_of(spec, objective, direction)
    winner = confirmations.leader(session, study, spec)
    if winner is None:
        with documents.whole(f"study '{study.name}'"):
            raise NotFound(_why_no_best(session, study))
    value = winner.value
    if ranked_by != spec.objective:
        first = rankings.ranked(session, study, spec, ranked_by)[0]
        winner, value = trials.find(session, study, first.number), first.value
    return Best(
        study=study.name,
        trial=winner.number,
        params=winner.params,
        config=views.as_trained(winner),
        metrics={**winner.metrics, **({} if value is None else {ranked_by.metric: value})},
        provenance={
            **winner.provenance,
            "objective": ranked_by.model_dump(),
            "epochs": winner.step,
            "epoch": winner.value_step or winner.step,
            "attempts": winner.attempts,
            "artifacts": [
                views.artifact_ref(file).model_dump()
                for file in artifacts.list_for(session, winner.id)
                if file.kind not in SHEETS
            ],
        },
        confirmation=(
            confirmations.view(session, study, spec) if ranked_by == spec.objective else None
        ),
    )


def _why_no_best(session: Session, study: Study) -> str:
    if study.state == StudyState.FAILED:
        return f"study '{study.name}' failed: {study.reason}"
    counts = studies.count_trials(session, [study.id])[study.id]
    counted = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none yet"
    reason = "has no completed trial that keeps its constraints"
    text = f"study '{study.name}' {reason}; trials: {counted}"
    if StudyState(study.state).has_ended:
        return f"{text}. It has ended: {study.state}"
    return f"{text}. Ask again when one has completed"
