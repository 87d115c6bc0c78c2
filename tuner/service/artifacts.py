"""Use cases of artifacts. The bytes are streamed to the store before the row is written."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from sqlalchemy.orm import Session

from tuner.errors import StorageError
from tuner.service import documents, files, views
from tuner.spec.examples import SHEETS
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef
from tuner.store import artifacts, leases, reports
from tuner.store.artifacts import ArtifactStore, Stored, Upload, too_large
from tuner.store.engine import Database
from tuner.store.leases import Held
from tuner.store.tables import Artifact

__all__ = ["Stored", "Upload", "attach", "authorize", "locate", "too_large"]
logger = logging.getLogger(__name__)
SHEETS_KEPT = 24  # of predictions, for a trial that trains to its full budget
_FEWEST = 4


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
        StorageError: the file was deleted before its row was written; it must come again.
    """
    is_sheet = upload.kind in SHEETS
    with db.transaction() as session:
        # A sheet changes nothing that other trials or events see, so that it need not keep them
        # waiting for the study's lock.
        held = (leases.look if is_sheet else leases.hold)(session, lease, token)
        leases.require_held(held)
        files.keep(session, upload.stored, store)
        older = [
            row
            for row in artifacts.list_for(session, held.trial.id, {upload.kind})
            if upload.kind in {ArtifactKind.CHECKPOINT, ArtifactKind.MODEL}
            or row.name == upload.name
        ]
        row = artifacts.add(session, held.trial, upload, now=db.now())
        orphans = artifacts.drop(session, older)
        if upload.kind == ArtifactKind.PREDICTIONS:
            orphans += artifacts.drop(session, _too_many(session, held))
        reference = views.artifact_ref(row)
    for sha256 in orphans:
        try:
            files.discard(db, store, sha256, before=db.now() - files.GRACE)
        except (StorageError, OSError) as error:  # the upload itself is safe
            logger.warning("file %s is left to upkeep: %s", sha256, error)
    return reference


def _too_many(session: Session, held: Held) -> list[Artifact]:
    """Sheets of predictions that a trial as far as this one need not keep."""
    rows = artifacts.list_for(session, held.trial.id, {ArtifactKind.PREDICTIONS})
    steps = [row.step or 0 for row in rows]
    most = sheets_kept(max(steps), held.trial.epochs)
    if len(set(steps)) <= most:
        return []
    objective = documents.rules_of(held.study).spec.objective
    values = reports.values_of(session, [held.trial.id])[held.trial.id]
    scored = [step for step in steps if step in values]
    best = min(scored, key=lambda step: (objective.key(values[step]), step), default=None)
    kept = spread(steps, most, best=best)
    return [row for row in rows if (row.step or 0) not in kept]


def sheets_kept(step: int, epochs: int) -> int:
    """How many sheets of predictions a trial has at most by a step.

    A trial that is stopped early keeps its share of what one that trains to the end keeps.
    """
    return max(_FEWEST, ceil(SHEETS_KEPT * min(step / epochs, 1.0)))


def spread(steps: Sequence[int], most: int, *, best: int | None) -> frozenset[int]:
    """So many of the steps: the first, the last and the best, and others evenly between them.

    Of the others, the one whose neighbours are nearest to each other goes first, so that steps that
    come one by one stay evenly spread.
    """
    kept = sorted(set(steps))
    fixed = {kept[0], kept[-1], best}
    while len(kept) > most:
        gaps = {
            step: after - before
            for (before, step), (_, after) in zip(pairwise(kept), pairwise(kept[1:]), strict=False)
            if step not in fixed
        }
        if not gaps:
            break
        kept.remove(min(gaps, key=lambda step: (gaps[step], step)))
    return frozenset(kept)


def locate(db: Database, artifact_id: int) -> ArtifactRef:
    """What is known of an artifact. Raises NotFound."""
    with db.reading() as session:
        return views.artifact_ref(artifacts.find(session, artifact_id))
