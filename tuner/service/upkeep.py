"""What must happen though nobody asks: any server process may run it, at any time."""

import logging
from datetime import timedelta

from tuner.service import endings, rows
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.spec.states import StudyState
from tuner.store import artifacts, leases, studies
from tuner.store.artifacts import ArtifactStore
from tuner.store.engine import Database

logger = logging.getLogger(__name__)
BATCH = 100
ORPHAN_AGE = timedelta(hours=1)  # longer than any upload lies without its row


def run(db: Database, store: ArtifactStore | None = None) -> int:
    """Release expired leases, end overdue studies, forget old keys, delete orphaned files.

    Gives the number of leases that were released and studies that were ended.
    """
    released = release_expired(db) + close_overdue(db)
    with db.transaction() as session:
        studies.forget(session, now=db.now())
    if store is not None:
        sweep(db, store)
    return released


def release_expired(db: Database) -> int:
    """End every lease that ran out; its trial waits for another worker, or has no attempt left."""
    with db.reading() as session:
        expired = leases.list_expired(session, now=db.now(), limit=BATCH)
    return sum(_release(db, lease, study_id) for lease, study_id in expired)


def _release(db: Database, lease: str, study_id: int) -> bool:
    with db.transaction() as session:
        study = studies.lock(session, study_id)
        now = db.now()
        held = leases.expired(session, lease, study, now=now)
        if held is None:  # renewed, ended or released by another process since it was listed
            return False
        attempt, trial, _ = held
        logger.warning(
            "trial %s of %s: lease of attempt %s expired", trial.number, study.name, attempt.number
        )
        endings.end_attempt(session, held, Outcome(kind=OutcomeKind.LOST), now=now)
        return True


def close_overdue(db: Database) -> int:
    """End the studies whose hours passed while no worker asked for them; give their number."""
    with db.reading() as session:
        now = db.now()
        overdue = [
            study.id
            for study in studies.list_in(session, [StudyState.RUNNING, StudyState.PAUSED])
            if endings.is_spent(study, rows.spec_of(study), now=now)
        ]
    return sum(_close(db, study_id) for study_id in overdue)


def _close(db: Database, study_id: int) -> bool:
    with db.transaction() as session:
        study = studies.lock(session, study_id)
        endings.close_if_done(session, study, rows.spec_of(study), now=db.now())
        return StudyState(study.state).has_ended


def sweep(db: Database, store: ArtifactStore) -> int:
    """Delete files that no row has named for an hour: of deleted studies and failed uploads."""
    with db.reading() as session:
        cutoff = db.now() - ORPHAN_AGE
        candidates = store.older_than(cutoff)
        named = artifacts.named(session, candidates)
    orphans = [sha256 for sha256 in candidates if sha256 not in named]
    for sha256 in orphans:
        store.remove(sha256)
    if orphans:
        logger.info("deleted %s orphaned artifact files", len(orphans))
    return len(orphans)
