"""What must happen though nobody asks: any server process may run it, at any time."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from tuner.errors import NewerDocument, SegtuneError
from tuner.service import budget, documents, files, lifecycle, preemption, retention
from tuner.service.isolation import in_a_line
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.spec.states import StudyState
from tuner.store import artifacts, deletion, leases, studies
from tuner.store.artifacts import ArtifactStore
from tuner.store.engine import Database
from tuner.store.partials import Partials
from tuner.store.tables import Study
from tuner.wording import quantity

T = TypeVar("T")
logger = logging.getLogger(__name__)
BATCH = 100
UNDO_TIME = timedelta(minutes=10)  # in which a deleted study can be restored
SWEEP_SECONDS = 600.0
ORPHAN_AGE = timedelta(hours=1)  # longer than any upload lies without its row


class Vigil:
    """Since when a server has listened to its workers, by the database's clock.

    A worker to which nobody listened could not renew its lease. After a start, and after a break of
    more than `gap` (the database was away, the machine asleep, the process stopped), each gets the
    time of a lease for that before any is released.
    """

    def __init__(self, *, lease: timedelta, gap: timedelta) -> None:
        self._lease, self._gap = lease, gap
        self._since = self._last = datetime.min.replace(tzinfo=UTC)

    def note(self, now: datetime) -> None:
        """Say that the server and its database work."""
        if now - self._last > self._gap:
            self._since = now
        self._last = now

    def has_lasted(self, now: datetime) -> bool:
        """Whether every living worker could renew its lease by now; notes that too."""
        self.note(now)
        return now - self._since >= self._lease


def run(
    db: Database,
    store: ArtifactStore | None = None,
    *,
    undo: timedelta = UNDO_TIME,
    vigil: Vigil | None = None,
    preempts: bool = True,
    collected: retention.Collected | None = None,
) -> int:
    """Release expired leases, end overdue studies, forget old keys, delete what is not kept.

    What was deleted before the `undo` time is removed for good. Without a `vigil` leases are
    released at once. Where it `preempts`, trials are asked to make room for studies of higher
    priority. Only studies that changed since they were `collected` have their files looked at.
    Gives the number of leases that were released, studies that were ended and trials that were
    asked. What fails is logged, and tried again the next time; nothing else waits for it.
    """
    released = _tried("release of expired leases", partial(release_expired, db, vigil))
    closed = _tried("end of overdue studies", partial(close_overdue, db))
    moved = _tried("preemption", partial(preemption.preempt, db)) if preempts else None
    _tried("removal of old keys", partial(_forget, db))
    _tried("removal of deleted studies", partial(remove_deleted, db, undo))
    if store is not None:
        seen = {} if collected is None else collected
        _tried("removal of files that are not kept", partial(retention.collect, db, store, seen))
    if vigil is not None:
        _tried("look at the clock", partial(_note, db, vigil))
    return (released or 0) + (closed or 0) + (moved or 0)


def _tried(what: str, duty: Callable[[], T]) -> T | None:
    """What a duty gives; None, and a line in the log, where it fails."""
    try:
        return duty()
    except NewerDocument as error:
        logger.warning("%s: left to the release that wrote it: %s", what, error)
    except SegtuneError as error:
        logger.warning("%s failed, and is tried again the next time: %s", what, error)
    except Exception:
        logger.exception("%s failed, and is tried again the next time", what)
    return None


def _forget(db: Database) -> int:
    with db.transaction() as session:
        return studies.forget(session, now=db.now())


def _note(db: Database, vigil: Vigil) -> None:
    """Say so after a round, however long it took, if the database answers."""
    with db.reading() as session:
        leases.list_expired(session, now=db.now(), limit=1)
    vigil.note(db.now())


def release_expired(db: Database, vigil: Vigil | None = None) -> int:
    """End every lease that ran out; its trial waits for another worker, or has no attempt left."""
    released, last = 0, None
    while released < BATCH:
        with db.reading() as session:
            now = db.now()
            expired = leases.list_expired(session, now=now, limit=BATCH, after=last)
        if not expired or (vigil is not None and not vigil.has_lasted(now)):
            break
        for lease, study_id, _ in expired:
            if _tried(f"release of lease {lease}", partial(_release, db, lease, study_id, vigil)):
                released += 1
        # Those that could not be released must not hide those behind them.
        last = (expired[-1][2], expired[-1][0])
    return released


def _release(db: Database, lease: str, study_id: int, vigil: Vigil | None) -> bool:
    with db.transaction() as session:
        study = studies.lock(session, study_id)
        now = db.now()
        if vigil is not None and not vigil.has_lasted(now):
            return False  # its worker has waited for the same lock
        held = leases.expired(session, lease, study, now=now)
        if held is None:  # renewed, ended or released by another process since it was listed
            return False
        attempt, trial, _ = held
        logger.warning(
            "trial %s of %s: lease of attempt %s expired", trial.number, study.name, attempt.number
        )
        try:
            documents.spec_of(study)
        except NewerDocument:
            raise
        except documents.DAMAGED as error:
            lifecycle.abandon(session, held, in_a_line(error), now=now)
            return True
        lost = Outcome(kind=OutcomeKind.LOST, error_kind=ErrorKind.LOST_WORKER)
        lifecycle.end_attempt(session, held, lost, now=now)
        return True


def close_overdue(db: Database) -> int:
    """End the studies whose hours passed while no worker asked for them; give their number."""
    with db.reading() as session:
        now = db.now()
        found = studies.list_in(session, [StudyState.RUNNING, StudyState.PAUSED])
        overdue = [
            study.id
            for study in found
            if _tried(f"look at study {study.id}", partial(_is_overdue, study, now))
        ]
    closed = [
        _tried(f"end of study {study_id}", partial(_close, db, study_id)) for study_id in overdue
    ]
    return sum(map(bool, closed))


def _is_overdue(study: Study, now: datetime) -> bool:
    return documents.is_readable(study) and budget.is_spent(
        study, documents.spec_of(study), now=now
    )


def _close(db: Database, study_id: int) -> bool:
    with db.transaction() as session:
        study = studies.lock(session, study_id)
        lifecycle.close_if_done(session, study, documents.rules_of(study), now=db.now())
        return StudyState(study.state).has_ended


def remove_deleted(db: Database, undo: timedelta = UNDO_TIME) -> int:
    """Remove studies that were deleted before the undo time; give the number of those gone.

    In parts, some of them each time: a large one keeps neither the database nor upkeep busy.
    """
    with db.reading() as session:
        before = db.now() - undo
        found = deletion.due(session, before=before, limit=BATCH)
    gone = parts = 0
    for study_id in found:
        while parts < BATCH:
            parts += 1
            with db.transaction() as session:
                if not deletion.remove_part(session, study_id, before=before):
                    gone += 1
                    logger.info("deleted study %s removed", study_id)
                    break
    return gone


def discard_broken(db: Database, broken: Partials) -> int:
    """Delete what came of uploads that nobody has gone on with for an hour; give how many."""
    duty = partial(_discard_broken, db, broken)
    count = _tried("removal of uploads that broke off", duty) or 0
    if count:
        logger.info("deleted what came of %s that broke off", quantity(count, "upload"))
    return count


def _discard_broken(db: Database, broken: Partials) -> int:
    return broken.discard_older(db.now() - ORPHAN_AGE)


def sweep(db: Database, store: ArtifactStore) -> int:
    """Delete files that no row has named for an hour: of deleted studies and failed uploads.

    It lists all files that there are: a duty for every `SWEEP_SECONDS`, not for every round.
    """
    cutoff = db.now() - ORPHAN_AGE
    candidates = store.older_than(cutoff)
    with db.reading() as session:
        named = artifacts.named(session, candidates)
    orphans = [sha256 for sha256 in candidates if sha256 not in named]
    removed = [
        _tried(
            f"removal of file {sha256}", partial(files.discard, db, store, sha256, before=cutoff)
        )
        for sha256 in orphans
    ]
    count = sum(map(bool, removed))
    if count:
        logger.info("deleted %s orphaned artifact files", count)
    return count
