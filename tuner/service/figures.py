"""What a monitoring system is told of the queue, the fleet and what training costs and saves."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.service import queue, summaries
from tuner.service.tracks import tracks
from tuner.spec.fleet import QueueView, WorkerView
from tuner.spec.states import StudyState
from tuner.store import studies, totals
from tuner.store.engine import Database


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """The state of everything at one moment; hours are those of devices."""

    queue: QueueView
    workers: tuple[WorkerView, ...]
    studies: Mapping[str, int]  # by state
    attempts: Mapping[str, int]  # by outcome; "held" for those that go on
    epochs: int
    hours: float
    epochs_saved: int
    hours_saved: float


def figures(db: Database) -> ServiceFigures:
    """Read everything in one snapshot."""
    with db.snapshot() as session:
        rows = studies.list_in(session, tuple(StudyState))
        states = dict.fromkeys(map(str, StudyState), 0)
        for row in rows:
            states[row.state] = states.get(row.state, 0) + 1
        # Copies go on from another trial: what they leave out was never to be trained.
        known = tracks(db, session, [row for row in rows if not row.copies])
        spent = totals.spent(session)
        return ServiceFigures(
            queue=queue.queue_in(session, now=db.now()),
            workers=summaries.workers_seen(session, now=db.now()),
            studies=states,
            attempts=totals.attempts(session),
            epochs=spent.epochs,
            hours=spent.seconds / 3600,
            epochs_saved=sum(each.epochs_saved for each in known.values()),
            hours_saved=sum(each.seconds_saved for each in known.values()) / 3600,
        )
