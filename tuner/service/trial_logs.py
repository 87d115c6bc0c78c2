"""The last output of a trial's attempts."""

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.spec.fleet import LogView
from tuner.store import leases, studies, trials
from tuner.store.engine import Database
from tuner.store.tables import Study


def show(db: Database, study: int | str, number: int, *, attempt: int | None = None) -> LogView:
    """The end of the log of a trial's attempt, of the last one for None. Raises NotFound."""
    with db.snapshot() as session:
        return shown(session, studies.find(session, study), number, attempt=attempt)


def shown(session: Session, study: Study, number: int, *, attempt: int | None = None) -> LogView:
    """The same as the session's transaction sees it. Raises NotFound."""
    trial = trials.find(session, study, number)
    found = leases.last_log(session, trial.id, attempt)
    if found is None:
        which = f"attempt {attempt}" if attempt is not None else "attempt yet"
        has = f"; it has {trial.attempts}, counted from 1" if attempt is not None else ""
        raise NotFound(f"trial {number} of study '{study.name}' has no {which}{has}")
    row, worker, kept = found
    return LogView(
        attempt=row.number,
        worker=worker,
        text="" if kept is None else kept.text,
        updated_at=None if kept is None else kept.updated_at,
        ended_at=row.ended_at,
    )
