"""The read side: what the API and the dashboard show of the store."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from tuner.errors import InvalidInput, NotFound, Problem
from tuner.service import confirmations, cursors, rankings, rows, summaries
from tuner.service import pareto as front
from tuner.spec.hints import nearest
from tuner.spec.metrics import metric_names, unknown_metric
from tuner.spec.space import Choice
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.versions import DataVersions, is_comparable
from tuner.spec.views import (
    Best,
    Curve,
    Event,
    HistoryPoint,
    Page,
    StepView,
    StudySummary,
    StudyView,
    TrialSummary,
    TrialView,
    WorkerView,
)
from tuner.store import artifacts, hot, leases, reports
from tuner.store import events as event_rows
from tuner.store import studies as study_rows
from tuner.store import trials as trial_rows
from tuner.store import workers as worker_rows
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial


def studies(
    db: Database,
    *,
    state: StudyState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StudySummary]:
    """Studies, newest first. Raises InvalidInput for a cursor that this server did not give."""
    before = cursors.read(cursor, [cursors.is_whole])[0] if cursor else None
    with db.reading() as session:
        found = study_rows.list_newest(session, state=state, before=before, limit=limit + 1)
        shown = found[:limit]
        items = summaries.summaries(session, shown, now=db.now())
    following = cursors.write(shown[-1].id) if len(found) > limit else None
    return Page(items=items, next=following)


def study(db: Database, study: int | str) -> StudyView:
    """One study with its document. Raises NotFound, Unreadable."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        return summaries.study_view(session, row, now=db.now())


def trials(  # noqa: PLR0913  # one argument for each query parameter of the list
    db: Database,
    study: int | str,
    *,
    sort: str = "number",
    descending: bool = False,
    state: TrialState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[TrialSummary]:
    """A study's trials in any order. Raises NotFound, InvalidInput (sort key, cursor)."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = rows.spec_of(row)
        order = _order(spec, sort, descending=descending)
        after = _after(cursor, order) if cursor else None
        if order.is_derived:
            found = rankings.page(session, row, order, state=state, after=after, limit=limit + 1)
        else:
            found = trial_rows.page(
                session, row.id, order, state=state, after=after, limit=limit + 1
            )
        shown = found[:limit]
        holders = leases.holders(session, [trial.id for trial, _ in shown])
        items = tuple(rows.trial_summary(trial, spec, holders.get(trial.id)) for trial, _ in shown)
        total = trial_rows.count(session, row.id, state=state)
    following = None
    if len(found) > limit:
        last, key = shown[-1]
        following = cursors.write(
            key.isoformat() if isinstance(key, datetime) else key, last.number
        )
    return Page(items=items, next=following, total=total)


def _order(spec: StudySpec, sort: str, *, descending: bool) -> trial_rows.Order:
    if sort in trial_rows.COLUMNS:
        return trial_rows.Order(sort, descending=descending, numeric=sort != "state")
    reported = metric_names(spec.dataset.classes)
    if sort in reported:
        return trial_rows.Order(sort, descending=descending, is_metric=True)
    if sort not in spec.space.root:
        if unknown_metric(sort, spec.dataset.classes) is None:
            return trial_rows.Order(sort, descending=descending, is_derived=True)
        hint = nearest(sort, (*trial_rows.COLUMNS, *spec.space.root, *reported))
        raise InvalidInput([Problem(("sort",), f"trials cannot be sorted by '{sort}'; {hint}")])
    numeric = all(
        not isinstance(dimension, Choice)
        or all(isinstance(v, int | float) and not isinstance(v, bool) for v in dimension.choice)
        for dimension in spec.space.root[sort]
    )
    return trial_rows.Order(sort, descending=descending, numeric=numeric)


def _after(cursor: str, order: trial_rows.Order) -> tuple[Any, int]:
    """Sort key and number of the last trial of the page before."""
    if order.key == "finished_at":
        key, number = cursors.read(cursor, [cursors.is_moment, cursors.is_whole])
        return key and datetime.fromisoformat(key), number
    fits = cursors.is_number if order.numeric else cursors.is_text
    key, number = cursors.read(cursor, [fits, cursors.is_whole])
    return key, number


def trial(db: Database, study: int | str, number: int) -> TrialView:
    """One trial with everything known of it. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        return trial_view(session, row, trial_rows.find(session, row, number))


def trial_view(session: Session, row: Study, trial: Trial) -> TrialView:
    """The view of a trial within a transaction. Raises Unreadable."""
    hot.write(session)
    with rows.whole(f"trial {trial.number} of study '{row.name}'"):
        return _trial_view(session, row, trial)


def _trial_view(session: Session, row: Study, trial: Trial) -> TrialView:
    history = leases.history(session, trial.id)
    worker = history[-1][1] if history else None
    summary = rows.trial_summary(trial, rows.spec_of(row), worker)
    return TrialView(
        **{name: getattr(summary, name) for name in TrialSummary.model_fields if name != "error"},
        study_id=row.id,
        study=row.name,
        config=rows.config_of(trial),
        metrics=trial.metrics,
        confusion=reports.last_confusion(session, trial.id),
        verdict=rows.verdict_of(trial),
        error=trial.error,
        provenance=trial.provenance,
        attempt_history=tuple(rows.attempt_view(attempt, name) for attempt, name in history),
        artifacts=tuple(map(rows.artifact_ref, artifacts.list_for(session, trial.id))),
    )


def steps(db: Database, study: int | str, number: int, *, after: int = 0) -> tuple[StepView, ...]:
    """The reports of a trial after a step, in order. Raises NotFound."""
    with db.reading() as session:
        row = trial_rows.find(session, study_rows.find(session, study), number)
        with rows.whole(f"a report of trial {number}"):
            return tuple(map(rows.step_view, reports.list_for(session, row.id, after=after)))


def curves(
    db: Database,
    study: int | str,
    *,
    metric: str | None = None,
    states: Collection[TrialState] | None = None,
    limit: int = 50,
) -> tuple[Curve, ...]:
    """Curves of the newest trials, running ones first. Raises NotFound.

    Args:
        metric: any reported metric; the first objective when None.
    """
    with db.reading() as session:
        row = study_rows.find(session, study)
        chosen = trial_rows.newest(session, row.id, states=states, limit=limit)
        ids = [trial.id for trial in chosen]
        if metric in {None, rows.spec_of(row).objective.metric}:
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


def history(db: Database, study: int | str) -> tuple[HistoryPoint, ...]:
    """Ended trials in order of ending, with the best feasible value so far. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        objective = rows.spec_of(row).objective
        ranked = DataVersions.of(row.data_versions).ranked
        points, best = [], None
        for one in trial_rows.ended(session, row.id):
            value = one.value
            counts = one.feasible and is_comparable(one.data_version, ranked)
            if one.state == TrialState.COMPLETED and counts and value is not None:
                best = value if best is None or objective.is_better(value, best) else best
            points.append(
                HistoryPoint(
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
    db: Database,
    study: int | str,
    *,
    objective: str | None = None,
    direction: str | None = None,
) -> Best:
    """The best feasible completed trial, by the study's first objective or any other metric.

    Raises:
        NotFound: there is none, with the reason.
        InvalidInput: no metric is called so.
    """
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = rows.spec_of(row)
        goal = rankings.goal(spec, objective, direction)
        winner = confirmations.leader(session, row, spec)
        if winner is None:
            with rows.whole(f"study '{row.name}'"):
                raise NotFound(_why_no_best(session, row))
        value = winner.value
        if goal != spec.objective:
            first = rankings.scored(session, row, spec, goal)[0]
            winner, value = trial_rows.find(session, row, first.number), first.value
        return Best(
            study=row.name,
            trial=winner.number,
            params=winner.params,
            config=rows.as_trained(winner),
            metrics={**winner.metrics, **({} if value is None else {goal.metric: value})},
            provenance={
                **winner.provenance,
                "objective": goal.model_dump(),
                "epochs": winner.step,
                "attempts": winner.attempts,
                "artifacts": [
                    rows.artifact_ref(file).model_dump()
                    for file in artifacts.list_for(session, winner.id)
                ],
            },
            confirmation=(
                confirmations.view(session, row, spec) if goal == spec.objective else None
            ),
        )


def _why_no_best(session: Session, row: Study) -> str:
    if row.state == StudyState.FAILED:
        return f"study '{row.name}' failed: {row.reason}"
    counts = study_rows.count_trials(session, [row.id])[row.id]
    told = ", ".join(f"{number} {state}" for state, number in counts.items()) or "none yet"
    text = f"study '{row.name}' has no completed trial that keeps its constraints; trials: {told}"
    if StudyState(row.state).has_ended:
        return f"{text}. It has ended: {row.state}"
    return f"{text}. Ask again when one has completed"


def pareto(db: Database, study: int | str) -> tuple[TrialSummary, ...]:
    """Feasible completed trials that no other one beats in every objective. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = rows.spec_of(row)
        chosen = front.members(session, row, spec)
        holders = leases.holders(session, [trial.id for trial in chosen])
        return tuple(rows.trial_summary(trial, spec, holders.get(trial.id)) for trial in chosen)


def workers(db: Database) -> tuple[WorkerView, ...]:
    """Every worker, the last seen first; one that was silent for two minutes is gone."""
    with db.reading() as session:
        now = db.now()
        cutoff = now - summaries.GONE_AFTER
        found = {row[0].id: row for row in worker_rows.list_all(session)}
        return tuple(
            rows.worker_view(
                worker, trial, study, gone=trial is None and worker.last_seen_at < cutoff, now=now
            )
            for worker, trial, study in found.values()
        )


def events(
    db: Database, study: int | str, *, after: int = 0, limit: int = 500
) -> tuple[Event, ...]:
    """A study's events after a number, in order. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        return tuple(map(rows.event_view, event_rows.after(session, row.id, after, limit=limit)))
