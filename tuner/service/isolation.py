"""What stops one study alone: it is failed with its reason, and everything else goes on."""

import logging

from tuner.errors import NotFound, SegtuneError
from tuner.service import lifecycle
from tuner.spec.failures import gist
from tuner.spec.states import StudyState
from tuner.store import studies
from tuner.store.engine import Database

logger = logging.getLogger(__name__)
_LENGTH = 1000


def set_aside(db: Database, study_id: int, error: Exception, what: str = "") -> None:
    """Fail a study for an error, in a transaction of its own; `what` says what did not succeed.

    Nothing happens where the study is gone or has ended, or the database refuses: it is tried
    again with the next worker that asks.
    """
    if isinstance(error, SegtuneError):
        logger.warning("study %s is set aside: %s", study_id, error)
    else:
        logger.error("study %s is set aside", study_id, exc_info=error)
    reason = f"{what}: {in_a_line(error)}" if what else in_a_line(error)
    try:
        with db.transaction() as session:
            study = studies.lock(session, study_id)
            if not StudyState(study.state).has_ended:
                lifecycle.fail(session, study, reason, now=db.now())
    except NotFound:
        return
    except Exception:  # the worker that asked gets a trial of another study
        logger.exception("study %s could not be failed", study_id)


def in_a_line(error: Exception) -> str:
    """An error in a line, with its type where its text may say nothing by itself."""
    text = str(error) if isinstance(error, SegtuneError) else f"{type(error).__name__}: {error}"
    return gist(text, _LENGTH)
