"""Trials: page, filter, sort, show, enqueue by hand, cancel."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, Field

from api.deps import (
    After,
    App,
    AttemptNumber,
    Cursor,
    Db,
    Limit,
    StudyRef,
    TrialBody,
    TrialNumber,
)
from tuner.service import overview, retries, studies, trial_logs
from tuner.spec.filters import MOST_CHARACTERS
from tuner.spec.fleet import LogView
from tuner.spec.states import TrialState
from tuner.spec.views import Page, StepView, TrialSummary, TrialView

router = APIRouter(prefix="/studies/{study}/trials", tags=["trials"])


class TrialOrder(BaseModel):
    """Order and filter of trials, and what of their metrics comes with each."""

    sort: str = Field(
        default="number",
        max_length=200,
        description="number, value, best_value, state, step, seconds, finished_at, "
        "or whatever else a filter can name: a searched path such as optimizer.lr, a reported "
        "metric such as iou.car, or one of the last confusion matrix such as recall.car or "
        "iou.[car,pedestrian]",
    )
    descending: bool = False
    state: TrialState | None = None
    filter: str = Field(
        default="",
        max_length=MOST_CHARACTERS,
        description="miou > .6 and optimizer.name = sgd or not state in [failed, pruned]: names "
        "are columns, params, metrics and config paths; signs are = != < <= > >= ~ (contains) in",
    )
    metrics: list[Annotated[str, Field(max_length=300)]] = Field(
        default_factory=list,
        max_length=50,
        description="Metrics of the step that counts, or of its matrix, to bring with each trial",
    )


class TrialQuery(TrialOrder):
    """Order, filter and page of a list of trials."""

    cursor: Cursor = None
    limit: Limit = 50


@router.get("")
def list_trials(
    db: Db, study: StudyRef, query: Annotated[TrialQuery, Query()]
) -> Page[TrialSummary]:
    """A page of a study's trials."""
    return overview.trials(db, study, **query.model_dump())


@router.post("", status_code=status.HTTP_201_CREATED)
def enqueue_trial(app: App, study: StudyRef, request: TrialBody, response: Response) -> TrialView:
    """Add a trial with these params; the others keep the base's values."""
    view = studies.enqueue(app.db, study, request.params)
    app.notify()
    response.headers["Location"] = f"/api/v1/studies/{view.study_id}/trials/{view.number}"
    return view


@router.get("/{number}")
def get_trial(db: Db, study: StudyRef, number: TrialNumber) -> TrialView:
    """One trial with its config, attempts, errors and artifacts."""
    return overview.trial(db, study, number)


@router.post("/{number}/cancel")
def cancel_trial(app: App, study: StudyRef, number: TrialNumber) -> TrialView:
    """End one trial; its worker hears of it with its next report or heartbeat."""
    view = studies.cancel_trial(app.db, study, number)
    app.notify()
    return view


@router.post("/{number}/retry")
def retry_trial(app: App, study: StudyRef, number: TrialNumber) -> TrialView:
    """Let a failed trial wait for a worker again, with its params and all its attempts."""
    view = retries.retry(app.db, study, number)
    app.notify()
    return view


@router.get("/{number}/log")
def show_log(
    db: Db,
    study: StudyRef,
    number: TrialNumber,
    attempt: AttemptNumber = None,
) -> LogView:
    """The last output of a trial's attempt, as its worker sent it with the last heartbeat."""
    return trial_logs.show(db, study, number, attempt=attempt)


@router.get("/{number}/steps")
def list_steps(
    db: Db, study: StudyRef, number: TrialNumber, after: After = 0
) -> tuple[StepView, ...]:
    """The metrics of each step of a trial."""
    return overview.steps(db, study, number, after=after)
