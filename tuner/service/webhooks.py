"""What webhooks are to be sent: read from the events, and noted once a receiver has it.

A crash between a delivery and its note repeats the delivery: at least once, never not at all.
"""

from collections.abc import Collection
from typing import NamedTuple

from tuner.service import views
from tuner.spec.views import Event
from tuner.store import webhooks
from tuner.store.engine import Database

HELD_SECONDS = 60.0  # longer than the longest request takes
STUDIES = 100
EVENTS = 100


class Unsent(NamedTuple):
    """What a webhook was not sent of a study; `last` is the event up to which that is all."""

    study_id: int
    study: str
    sent: int
    last: int
    events: tuple[Event, ...]


def hold(db: Database, name: str, sender: str) -> bool:
    """Make the webhook known, and let this sender alone tell it; False while another one does."""
    with db.transaction() as session:
        now = db.now()
        webhooks.register(session, name, now=now)
        return webhooks.hold(session, name, sender, now=now, seconds=HELD_SECONDS)


def release(db: Database, name: str, sender: str) -> None:
    """Let another sender begin."""
    with db.transaction() as session:
        webhooks.release(session, name, sender)


def unsent(
    db: Database, name: str, kinds: Collection[str], *, after: int = 0
) -> tuple[Unsent, ...]:
    """What the webhook is to be sent now, of each study in order; of `STUDIES` beyond an id."""
    with db.reading() as session:
        found = []
        for study, sent in webhooks.behind(session, name, after=after, limit=STUDIES):
            rows = webhooks.events_between(session, study, sent, kinds, limit=EVENTS)
            last = rows[-1].seq if len(rows) == EVENTS else study.event_seq
            events = tuple(map(views.event_view, rows))
            found.append(Unsent(study.id, study.deleted_name or study.name, sent, last, events))
        return tuple(found)


def note_sent(db: Database, name: str, study_id: int, seq: int) -> None:
    """Note that a receiver has everything up to an event of a study."""
    with db.transaction() as session:
        webhooks.advance(session, name, study_id, seq)
