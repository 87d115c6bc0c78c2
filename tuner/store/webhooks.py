"""What each webhook was sent: a place in the events of each study, and the process that sends."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from tuner.store.tables import Event, Study, Webhook, WebhookCursor


def register(session: Session, name: str, *, now: datetime) -> None:
    """Make a webhook known, to be sent what happens from now on; one that is known stays so."""
    if session.get(Webhook, name) is not None:
        return
    session.add(Webhook(name=name, created_at=now))
    session.flush()
    so_far = select(literal(name), Study.id, Study.event_seq)
    session.execute(insert(WebhookCursor).from_select(["webhook", "study_id", "seq"], so_far))


def skip(session: Session, study: Study) -> None:
    """Note that no webhook is to be sent what has happened to a study so far."""
    so_far = select(Webhook.name, literal(study.id), literal(study.event_seq))
    session.execute(insert(WebhookCursor).from_select(["webhook", "study_id", "seq"], so_far))


def hold(session: Session, name: str, sender: str, *, now: datetime, seconds: float) -> bool:
    """Let this process alone send for so long; False while another one does."""
    held = update(Webhook).where(
        Webhook.name == name,
        or_(Webhook.sender.is_(None), Webhook.sender == sender, Webhook.held_until < now),
    )
    until = now + timedelta(seconds=seconds)
    return _changed(session, held.values(sender=sender, held_until=until)) == 1


def release(session: Session, name: str, sender: str) -> None:
    """Let another process send at once."""
    mine = update(Webhook).where(Webhook.name == name, Webhook.sender == sender)
    _changed(session, mine.values(sender=None, held_until=None))


def behind(session: Session, name: str, *, after: int, limit: int) -> Sequence[tuple[Study, int]]:
    """Studies beyond an id with events that the webhook was not sent, and the last that it was."""
    sent = func.coalesce(WebhookCursor.seq, 0)
    joined = and_(WebhookCursor.study_id == Study.id, WebhookCursor.webhook == name)
    query = (
        select(Study, sent)
        .outerjoin(WebhookCursor, joined)
        .where(Study.id > after, Study.event_seq > sent)
        # Of one that is being removed, some events are gone.
        .where(or_(Study.deleted_at.is_(None), Study.deleted_name.is_not(None)))
        .order_by(Study.id)
        .limit(limit)
    )
    return [(study, seq) for study, seq in session.execute(query)]


def events_between(
    session: Session, study: Study, after: int, kinds: Collection[str], *, limit: int
) -> Sequence[Event]:
    """Events of these kinds from a place up to the study's last, in order."""
    return session.scalars(
        select(Event)
        .where(Event.study_id == study.id, Event.seq > after, Event.seq <= study.event_seq)
        .where(Event.kind.in_(kinds))
        .order_by(Event.seq)
        .limit(limit)
    ).all()


def advance(session: Session, name: str, study_id: int, seq: int) -> None:
    """Note that the webhook was sent everything up to an event."""
    same = (WebhookCursor.webhook == name, WebhookCursor.study_id == study_id)
    if not _changed(session, update(WebhookCursor).where(*same).values(seq=seq)):
        session.execute(insert(WebhookCursor).values(webhook=name, study_id=study_id, seq=seq))


def _changed(session: Session, statement: Any) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount
