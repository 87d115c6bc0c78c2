"""Try a failed trial again: the same params, all its attempts anew, its history kept."""

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.errors import Conflict
from tuner.service import acting, budget, documents, summaries
from tuner.spec.access import DeedKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import TrialView
from tuner.store import studies, trials
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

logger = logging.getLogger(__name__)


def retry(db: Database, study: int | str, number: int) -> TrialView:
    """Let a failed trial wait for a worker again; a finished study runs again for it.

    It goes on from its checkpoint where it has one. The search takes its params for taken and its
    worth for open, as with any waiting trial; the budget of trials has counted it already.

    Raises:
        NotFound: no such study or trial.
        Conflict: the trial has not failed, its study has ended for good, or its hours are spent.
        Unreadable: the trial's config cannot be read, so that no worker could train it.
    """
    with db.transaction() as session:
        row = acting.lock(session, study)
        now = db.now()
        trial = trials.find(session, row, number)
        _refuse(row, trial, now=now)
        documents.config_of(trial)
        trials.retry(session, row, trial, now=now)
        _reopen(session, row, number, now=now)
        acting.note_study(session, DeedKind.RETRY, row, now=now, trial=number)
        logger.info(
            "trial %s of %s is tried again",
            number,
            row.name,
            extra={"study": row.name, "trial": number},
        )
        return summaries.trial_view(session, row, trial)


def _refuse(study: Study, trial: Trial, *, now: datetime) -> None:
    if trial.state != TrialState.FAILED:
        raise Conflict(
            f"trial {trial.number} of '{study.name}' is {trial.state}; only a failed trial can be "
            "tried again. Enqueue one with the same params to train them once more"
        )
    if study.state in {StudyState.CANCELLED, StudyState.FAILED}:
        raise Conflict(f"study '{study.name}' is {study.state}; clone it to go on")
    if spent := budget.spent_reason(study, documents.spec_of(study), now=now):
        raise Conflict(f"trial {trial.number} cannot be tried again: {spent}; raise it first")


def _reopen(session: Session, study: Study, number: int, *, now: datetime) -> None:
    if study.state == StudyState.FINISHED:
        reason = f"trial {number} is tried again"
        studies.move(session, study, StudyState.RUNNING, now=now, reason=reason)
