"""Deleted studies: hidden first, so that they can be restored; removed for good later, in parts.

Every other query passes over a row that has `deleted_at`, so that a hidden study is given to no
worker, listed nowhere, and locked by nobody. Its name is free meanwhile: the row's own becomes one
that no study can have. Its state becomes one that servers of the release before, which know
nothing of hiding, neither serve nor let go on; it gets its own back when it is restored.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from tuner.spec.events import EventKind
from tuner.spec.messages import OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.store import events, hot
from tuner.store.references import key
from tuner.store.tables import Attempt, Event, IdempotencyKey, Study, Trial

HIDDEN = "its study was deleted for a while"  # to be read only once it is restored
_TRIALS, _EVENTS = 100, 5000  # removed in one transaction, so that nobody waits long for it


def hide(session: Session, study: Study, *, now: datetime) -> None:
    """Let a locked study be seen no more; workers that train for it lose their leases.

    Their attempts do not count as lost: the trials go on if the study is restored.
    """
    seq = events.append(session, study, EventKind.STUDY_CHANGED, now=now, deleted=True)
    hot.write(session)
    of_study = select(Trial.id).where(Trial.study_id == study.id)
    ended = {"ended_at": now, "outcome": OutcomeKind.YIELDED, "reason": HIDDEN}
    session.execute(
        update(Attempt)
        .where(Attempt.trial_id.in_(of_study), Attempt.ended_at.is_(None))
        .values(**ended)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Trial)
        .where(Trial.study_id == study.id, Trial.state == TrialState.RUNNING)
        .values(revision=seq, reason=HIDDEN, **_let_go(study, now=now))
        .execution_options(synchronize_session=False)
    )
    # A submission that is sent again makes a new study, as if this one had never been.
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.study_id == study.id))
    study.deleted_at, study.deleted_name, study.deleted_state = now, study.name, study.state
    study.state = StudyState.CANCELLED
    study.name = f"~{study.id}"  # no study is called so


def _let_go(study: Study, *, now: datetime) -> dict[str, object]:
    """What becomes of a trial whose worker has lost it: it waits where its study may go on."""
    if study.state in {state for state in StudyState if not state.has_ended}:
        return {"state": TrialState.WAITING, "verdict": {}}
    spent = {"study_epochs": study.epochs, "study_seconds": study.seconds}
    return {"state": TrialState.CANCELLED, "finished_at": now, **spent}


def state_of(study: Study) -> str:
    """The state of a study; of a hidden one that in which it is restored."""
    return study.deleted_state or study.state


def find(session: Session, study: int | str) -> Study | None:
    """The hidden study of that id or earlier name that can be restored; of several the latest."""
    return session.scalar(
        select(Study)
        .where(key(study, Study.deleted_name.expression), Study.deleted_name.is_not(None))
        .order_by(Study.deleted_at.desc(), Study.id.desc())
        .limit(1)
    )


def look(session: Session, study_id: int) -> Study | None:
    """The study of that id, hidden or not, as long as all of it is there."""
    whole = or_(Study.deleted_at.is_(None), Study.deleted_name.is_not(None))
    return session.scalar(select(Study).where(Study.id == study_id, whole))


def list_hidden(session: Session, *, limit: int) -> Sequence[Study]:
    """Studies that can be restored, the last deleted first."""
    return session.scalars(
        select(Study)
        .where(Study.deleted_name.is_not(None))
        .order_by(Study.deleted_at.desc(), Study.id.desc())
        .limit(limit)
    ).all()


def lock(session: Session, study: int | str) -> Study | None:
    """The hidden study, its row held to the end of the transaction, while it can be restored."""
    found = find(session, study)
    return None if found is None else _held(session, found.id)


def show(session: Session, study: Study, name: str, *, now: datetime) -> None:
    """Let a locked hidden study be seen again, under a name that is free."""
    study.state = state_of(study)
    study.name, study.deleted_at, study.deleted_name, study.deleted_state = name, None, None, None
    stored: object = study.spec  # whatever it is, of one that is damaged
    if isinstance(stored, dict) and stored.get("name") != name:
        study.spec = {**stored, "name": name}
    events.append(session, study, EventKind.STUDY_CHANGED, now=now, deleted=False, name=name)


def due(session: Session, *, before: datetime, limit: int) -> Sequence[int]:
    """Ids of studies that were deleted before a time, those already begun first."""
    return session.scalars(
        select(Study.id)
        .where(Study.deleted_at <= before)
        .order_by(Study.deleted_name.is_not(None), Study.deleted_at, Study.id)
        .limit(limit)
    ).all()


def remove_part(session: Session, study_id: int, *, before: datetime) -> bool:
    """Remove some of a study that was deleted before a time; False when nothing is left of it.

    From the first part on nobody can restore it.
    """
    study = _held(session, study_id)
    if study is None or study.deleted_at is None or study.deleted_at > before:
        return False
    study.deleted_name = None
    numbers = select(Trial.id).where(Trial.study_id == study_id).order_by(Trial.id).limit(_TRIALS)
    trials = session.scalars(numbers).all()
    if trials:  # with their reports, attempts and artifacts
        session.execute(delete(Trial).where(Trial.id.in_(trials)))
        return True
    oldest = session.scalar(select(func.min(Event.seq)).where(Event.study_id == study_id))
    if oldest is not None:
        some = (Event.study_id == study_id, Event.seq < oldest + _EVENTS)
        session.execute(delete(Event).where(*some))
        return True
    session.flush()
    session.execute(delete(Study).where(Study.id == study_id))
    session.expunge(study)
    return False


def _held(session: Session, study_id: int) -> Study | None:
    """The hidden study of that id, its row locked."""
    return session.scalar(
        select(Study)
        .where(Study.id == study_id, Study.deleted_at.is_not(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
