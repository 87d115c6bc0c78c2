"""The read side: what the API, the dashboard and the command show of the store."""

from collections.abc import Collection, Sequence

from tuner.service import documents, results, study_lists, summaries, trial_lists, views
from tuner.service.pareto import front_trials
from tuner.service.study_lists import StudySelection
from tuner.service.trial_lists import TrialSelection
from tuner.spec.fleet import WorkerView
from tuner.spec.states import StudyState, TrialState
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
)
from tuner.store import events as event_rows
from tuner.store import studies as study_rows
from tuner.store import trials as trial_rows
from tuner.store.engine import Database


def studies(
    db: Database,
    *,
    state: StudyState | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StudySummary]:
    """Studies, newest first; for any other order see `study_lists.page`. Raises InvalidInput."""
    return study_lists.page(db, StudySelection(state=state, cursor=cursor, limit=limit))


def study(db: Database, study: int | str) -> StudyView:
    """One study with its document. Raises NotFound, Unreadable."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        return summaries.study_view(session, row, now=db.now())


def study_id(db: Database, study: int | str) -> int:
    """The id of a study that can be read, by its id or name. Raises NotFound, Unreadable."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        documents.spec_of(row)
        return row.id


def trials(  # noqa: PLR0913  # one argument for each query parameter of the list
    db: Database,
    study: int | str,
    *,
    sort: str = "number",
    descending: bool = False,
    state: TrialState | None = None,
    filter: str = "",  # as the parameter is called
    metrics: Sequence[str] = (),
    cursor: str | None = None,
    limit: int = 50,
) -> Page[TrialSummary]:
    """A study's trials in any order.

    Raises:
        NotFound: no study is called so.
        InvalidInput: the sort key, the filter, a metric or the cursor.
    """
    selection = TrialSelection(sort, descending, state, cursor, limit, filter, tuple(metrics))
    with db.snapshot() as session:
        row = study_rows.find(session, study)
        return trial_lists.page(session, row, documents.spec_of(row), selection)


def trial(db: Database, study: int | str, number: int) -> TrialView:
    """One trial with everything known of it. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        return summaries.trial_view(session, row, trial_rows.find(session, row, number))


def steps(db: Database, study: int | str, number: int, *, after: int = 0) -> tuple[StepView, ...]:
    """The reports of a trial after a step, in order. Raises NotFound."""
    with db.reading() as session:
        row = trial_rows.find(session, study_rows.find(session, study), number)
        return results.steps(session, row, after=after)


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
        return results.newest_curves(session, row, metric=metric, states=states, limit=limit)


def history(db: Database, study: int | str) -> tuple[HistoryPoint, ...]:
    """Ended trials in order of ending, with the best feasible value so far. Raises NotFound."""
    with db.reading() as session:
        found = results.history(session, study_rows.find(session, study))
        return tuple(HistoryPoint.model_validate(row._asdict()) for row in found)


def best(
    db: Database, study: int | str, *, objective: str | None = None, direction: str | None = None
) -> Best:
    """The best feasible completed trial, by the study's first objective or any other metric.

    Raises:
        NotFound: there is none, with the reason.
        InvalidInput: no metric is called so.
    """
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = documents.spec_of(row)
        return results.best(session, row, spec, objective=objective, direction=direction)


def pareto(db: Database, study: int | str) -> tuple[TrialSummary, ...]:
    """Feasible completed trials that no other one beats in every objective. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        spec = documents.spec_of(row)
        return trial_lists.summaries_of(session, spec, front_trials(session, row, spec))


def workers(db: Database) -> tuple[WorkerView, ...]:
    """Every worker, the last seen first; one that was silent for two minutes is gone."""
    with db.snapshot() as session:
        return summaries.workers_seen(session, now=db.now())


def events(
    db: Database, study: int | str, *, after: int = 0, limit: int = 500
) -> tuple[Event, ...]:
    """A study's events after a number, in order. Raises NotFound."""
    with db.reading() as session:
        row = study_rows.find(session, study)
        return tuple(map(views.event_view, event_rows.after(session, row.id, after, limit=limit)))
