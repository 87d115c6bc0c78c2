"""Workers: drained and let go on, and what they have lost."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.service import acting, cursors, faults, summaries
from tuner.spec.access import DeedKind
from tuner.spec.fleet import Loss, LostTrial, WorkerView
from tuner.spec.states import TrialState
from tuner.spec.views import Page
from tuner.store import workers
from tuner.store.engine import Database
from tuner.store.workers import LostAttempt


def drain(db: Database, worker: str) -> WorkerView:
    """Let a worker end the trial that it has, and give it no other. Raises NotFound."""
    with db.transaction() as session:
        now = db.now()
        if workers.find(session, worker).drained_at is None:
            workers.set_drained(session, worker, now)
            acting.note(session, DeedKind.DRAIN, worker, now=now)
    return shown(db, worker)


def undrain(db: Database, worker: str) -> WorkerView:
    """Give a drained worker trials again. Raises NotFound."""
    with db.transaction() as session:
        if workers.find(session, worker).drained_at is not None:
            workers.set_drained(session, worker, None)
            acting.note(session, DeedKind.UNDRAIN, worker, now=db.now())
    return shown(db, worker)


def shown(db: Database, worker: str) -> WorkerView:
    """One worker. Raises NotFound."""
    with db.snapshot() as session:
        everyone = summaries.workers_seen(session, now=db.now())
    found = [each for each in everyone if each.name == worker]
    if not found:
        raise NotFound(workers.unknown(worker))
    return found[0]


@dataclass(frozen=True, slots=True)
class FleetDetail:
    """All workers, and a page of what they have lost, at one moment."""

    workers: tuple[WorkerView, ...]
    lost: Page[LostTrial]


def fleet_detail(
    db: Database, *, worker: str | None = None, cursor: str | None = None, limit: int = 20
) -> FleetDetail:
    """The fleet, with what one worker has lost or all have. Raises NotFound, InvalidInput."""
    with db.snapshot() as session:
        return FleetDetail(
            summaries.workers_seen(session, now=db.now()),
            lost_in(session, worker=worker, cursor=cursor, limit=limit),
        )


def lost(
    db: Database, *, worker: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[LostTrial]:
    """Attempts that were lost, the last ones first, of all workers or of one.

    Raises:
        NotFound: no worker is called so.
        InvalidInput: the cursor is not one of this list.
    """
    with db.snapshot() as session:
        return lost_in(session, worker=worker, cursor=cursor, limit=limit)


def lost_in(
    session: Session, *, worker: str | None, cursor: str | None, limit: int
) -> Page[LostTrial]:
    """The same as the session's transaction sees it."""
    if worker is not None:
        workers.find(session, worker)
    found = workers.list_lost(session, worker=worker, before=_before(cursor), limit=limit + 1)
    rows, following = found[:limit], None
    if len(found) > limit:
        last = rows[-1].attempt
        assert last.ended_at is not None  # the query leaves the others out
        following = cursors.write(last.ended_at.isoformat(), last.id)
    return Page(items=tuple(map(_lost, rows)), next=following)


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    moment, lease = cursors.read(cursor, [_is_given_moment, _is_lease])
    return datetime.fromisoformat(moment), lease


def _is_given_moment(part: object) -> bool:
    return part is not None and cursors.is_moment(part)


def _is_lease(part: object) -> bool:
    return isinstance(part, str) and cursors.is_text(part)


def _lost(row: LostAttempt) -> LostTrial:
    attempt, trial = row.attempt, row.trial
    assert attempt.ended_at is not None  # the query leaves the others out
    return LostTrial(
        worker=row.worker,
        study=row.study,
        study_id=trial.study_id,
        trial=trial.number,
        attempt=attempt.number,
        outcome=cast("Loss", attempt.outcome),
        error=None if attempt.error is None else faults.first_line(attempt.error),
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        state=TrialState.known(trial.state),
        reason=trial.reason or "",
        step=trial.step,
        epochs=trial.epochs,
        next_attempt=row.next_attempt,
        next_worker=row.next_worker,
    )
