"""Files that rows name: none is deleted while a row comes to name it.

The two take turns, file by file, under a lock of the database: whatever the processes, their
machines and their clocks, a row that is written has its file.
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from tuner.errors import StorageError
from tuner.store import artifacts
from tuner.store.artifacts import ArtifactStore, Stored
from tuner.store.engine import Database

# For which a file that no row names is left alone: an upload of the same bytes may be about to name
# it. One that takes longer finds its file gone, and sends it again.
GRACE = timedelta(seconds=10)


def keep(session: Session, stored: Stored, store: ArtifactStore) -> None:
    """Let a file that is there not be deleted before the transaction ends. Raises StorageError."""
    artifacts.lock_file(session, stored.sha256)
    if not store.has(stored.sha256):
        raise StorageError(
            f"the bytes with sha256 {stored.sha256[:12]}… were deleted before their row was "
            "written; send the file again"
        )


def discard(db: Database, store: ArtifactStore, sha256: str, *, before: datetime) -> bool:
    """Delete a file that came before that time and that no row names; whether it was there.

    Raises:
        StorageError: the database did not do its part.
        OSError: the file cannot be deleted.
    """
    with db.transaction() as session:
        artifacts.lock_file(session, sha256)
        return not artifacts.named(session, [sha256]) and store.remove(sha256, before=before)
