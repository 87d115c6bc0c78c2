"""Use cases of artifacts. The bytes are streamed to the store before the row is written."""

from tuner.service import views
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef
from tuner.store import artifacts, leases
from tuner.store.artifacts import ArtifactStore, Stored, Upload
from tuner.store.engine import Database

__all__ = ["Stored", "Upload", "attach", "authorize", "locate"]


def authorize(db: Database, lease: str, token: str) -> None:
    """Refuse an upload before its bytes come. Raises LeaseLost."""
    with db.reading() as session:
        held = leases.look(session, lease, token)
        leases.require_held(held)


def attach(
    db: Database, lease: str, token: str, upload: Upload, *, store: ArtifactStore
) -> ArtifactRef:
    """Give a stored file to the lease's trial; a checkpoint or model replaces the older one.

    Raises:
        LeaseLost: the lease ended while the bytes came; they are deleted by a later upkeep.
    """
    with db.transaction() as session:
        held = leases.hold(session, lease, token)
        older = [
            row
            for row in artifacts.list_for(session, held.trial.id)
            if row.kind == upload.kind
            and (
                upload.kind in {ArtifactKind.CHECKPOINT, ArtifactKind.MODEL}
                or row.name == upload.name
            )
        ]
        row = artifacts.add(session, held.trial, upload, now=db.now())
        orphans = artifacts.drop(session, older)
        reference = views.artifact_ref(row)
    for sha256 in orphans:
        store.discard(sha256, now=db.now())
    return reference


def locate(db: Database, artifact_id: int) -> ArtifactRef:
    """What is known of an artifact. Raises NotFound."""
    with db.reading() as session:
        return views.artifact_ref(artifacts.find(session, artifact_id))
