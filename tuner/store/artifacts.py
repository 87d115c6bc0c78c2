"""Artifacts: rows in the database, bytes in a folder under their sha256.

A name that came over the wire is data in a row; it never becomes a path.
"""

import errno
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tuner.atomic import last_written
from tuner.errors import (
    DamagedArtifact,
    DigestMismatch,
    NotFound,
    StorageError,
    StorageFull,
    TooLarge,
)
from tuner.spec.kinds import ArtifactKind
from tuner.spec.states import TrialState
from tuner.store.held import HeldTrial
from tuner.store.tables import Artifact, Study, Trial

logger = logging.getLogger(__name__)
CHUNK = 2**20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TURNS = 0x66696C65 << 32  # of PostgreSQL's advisory locks those that are of files: "file"


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that lie safely in the artifact store."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """What a worker says of a file whose bytes are stored."""

    name: str
    kind: str
    step: int | None
    stored: Stored
    details: Mapping[str, Any] | None = None


class ArtifactStore:
    """A folder of files named by their sha256; equal files are kept once."""

    def __init__(self, place: str | Path) -> None:
        self.place = str(place)
        # State of a file that is known to be damaged: one that is replaced may be whole.
        self._damaged: dict[str, object] = {}

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self.place)

    def write(self, chunks: Iterable[bytes], *, sha256: str | None, limit: int) -> Stored:
        """Stream bytes into the store: written aside, checked, then renamed.

        Raises:
            DigestMismatch: the bytes are not those that `sha256` announced.
            TooLarge: more than `limit` bytes came.
            StorageFull: the disk has no room for them.
            StorageError: the disk refused them.
        """
        incoming = self.folder / "incoming"
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=incoming, delete=False) as file:
                aside = Path(file.name)
                try:
                    stored = copied(chunks, file, limit)
                    file.flush()
                    os.fsync(file.fileno())
                    check_digest(stored, sha256)
                    self.adopt(aside, stored)
                finally:
                    aside.unlink(missing_ok=True)
        except OSError as error:
            if error.errno in _FULL:
                raise self._full(error.strerror or "") from error
            raise StorageError(
                f"the artifact folder {self.folder} refused a file: {error.strerror}; "
                "let the server write there, or set SEGTUNE_ARTIFACTS to another folder"
            ) from error
        return stored

    def adopt(self, whole: Path, stored: Stored) -> None:
        """Take over a file whose bytes are known, on the same disk. Raises OSError."""
        path = self._path(stored.sha256)
        path.parent.mkdir(exist_ok=True)
        whole.replace(path)

    def require_room(self, size: int) -> None:
        """Refuse so many bytes before they come. Raises StorageFull."""
        folder = self.folder if self.folder.exists() else self.folder.parent
        try:
            free = shutil.disk_usage(folder).free
        except OSError:  # what is wrong is said where the bytes are written
            return
        if free < size:
            raise self._full("less is free than the file is large")

    def _full(self, reason: str) -> StorageFull:
        return StorageFull(
            f"the disk under the artifact folder {self.folder} is full ({reason}); make room "
            "there, delete studies, or set SEGTUNE_ARTIFACTS to another folder"
        )

    def open(self, sha256: str) -> BinaryIO:
        """The file for reading. Raises NotFound."""
        try:
            return self._path(sha256).open("rb")
        except OSError:
            raise self._gone(sha256) from None

    def read(self, stored: Stored) -> Iterator[bytes]:
        """The file's bytes in parts; the last comes once all are known to be those stored.

        Of a damaged file so much may come that it is too short, never a wrong one; from then on the
        error comes before the first part.

        Raises:
            NotFound: there is no such file.
            DamagedArtifact: its bytes are others.
        """
        sha256 = stored.sha256
        with self.open(sha256) as file:
            size, state = self._state(sha256)
            if size != stored.size or self._damaged.get(sha256) == state:
                raise self._damage(sha256)
            digest, held = hashlib.sha256(), b""
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if held:
                    yield held
                held = chunk
        if digest.hexdigest() != sha256:
            self._damaged[sha256] = state
            logger.error("%s", self._damage(sha256))
            raise self._damage(sha256)
        yield held

    def _damage(self, sha256: str) -> DamagedArtifact:
        return DamagedArtifact(
            f"the file {self._file(sha256)} is damaged: its bytes have another sha256 than its "
            "name says; bring it back from a backup, or train again"
        )

    def has(self, sha256: str) -> bool:
        """Whether the file is there."""
        return self._path(sha256).exists()

    def size(self, sha256: str) -> int:
        """How many bytes the file has. Raises NotFound."""
        return self._state(sha256)[0]

    def remove(self, sha256: str, *, before: datetime) -> bool:
        """Delete the file if it came before that time; that it is gone already is fine."""
        path = self._path(sha256)
        try:
            is_old = path.stat().st_mtime < before.timestamp()
        except FileNotFoundError:
            return False
        if is_old:
            path.unlink(missing_ok=True)
        return is_old

    def older_than(self, cutoff: datetime) -> tuple[str, ...]:
        """Names of files last written before `cutoff`; uploads that broke off are deleted."""
        for broken in self._older("incoming/*", cutoff):
            broken.unlink(missing_ok=True)
        return tuple(path.name for path in self._older(f"??/{'[0-9a-f]' * 64}", cutoff))

    def _older(self, pattern: str, cutoff: datetime) -> Iterator[Path]:
        for path in self.folder.glob(pattern):
            if last_written(path) < cutoff.timestamp():
                yield path

    def _gone(self, sha256: str) -> NotFound:
        return NotFound(
            f"artifact {sha256[:12]}… has a row but no file in {self.place}; was it moved?"
        )

    def _state(self, sha256: str) -> tuple[int, object]:
        """A file's size, and what changes when it is replaced. Raises NotFound."""
        try:
            found = self._path(sha256).stat()
        except OSError:
            raise self._gone(sha256) from None
        return found.st_size, found.st_mtime_ns

    def _file(self, sha256: str) -> str:
        """Where a file is, for messages."""
        return str(self._path(sha256))

    def _path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256


def copied(chunks: Iterable[bytes], file: IO[bytes], limit: int, *, start: int = 0) -> Stored:
    """Write bytes to a file as they come, and say what they were. Raises TooLarge.

    The size counts `start` bytes that are in the file already; the digest does not.
    """
    digest, size = hashlib.sha256(), start
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        digest.update(chunk)
        file.write(chunk)
    return Stored(digest.hexdigest(), size)


def too_large(limit: int) -> TooLarge:
    """The error for a file of more than `limit` bytes."""
    return TooLarge(
        f"an artifact may have {limit / 2**20:g} MiB; this one has more; "
        "raise SEGTUNE_MAX_ARTIFACT_MB on the server"
    )


def check_digest(stored: Stored, announced: str | None) -> None:
    """Raise DigestMismatch unless the bytes are those that were announced."""
    if announced is not None and announced.lower() != stored.sha256:
        raise DigestMismatch(
            f"announced sha256 {announced[:12]}…, received {stored.size} bytes with "
            f"{stored.sha256[:12]}…; send the file again"
        )


def add(session: Session, trial: Trial | HeldTrial, upload: Upload, *, now: datetime) -> Artifact:
    """Insert the row of a stored file."""
    row = Artifact(
        trial_id=trial.id,
        attempt=trial.attempts,
        kind=upload.kind,
        name=upload.name,
        step=upload.step,
        size=upload.stored.size,
        sha256=upload.stored.sha256,
        details=None if upload.details is None else dict(upload.details),
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def share(session: Session, row: Artifact, trial: Trial, *, now: datetime) -> Artifact:
    """Let another trial name the same file."""
    upload = Upload(row.name, row.kind, row.step, Stored(row.sha256, row.size), row.details)
    return add(session, trial, upload, now=now)


def list_for(
    session: Session, trial_id: int, kinds: Collection[str] | None = None
) -> Sequence[Artifact]:
    """A trial's artifacts, the oldest first; of these kinds, or of all."""
    query = select(Artifact).where(Artifact.trial_id == trial_id).order_by(Artifact.id)
    return session.scalars(query if kinds is None else query.where(Artifact.kind.in_(kinds))).all()


class EndedHolding(NamedTuple):
    """An artifact of a trial that has ended."""

    artifact: int
    kind: str
    trial: int
    state: str
    source: str
    parent: int | None


def of_ended(session: Session, study_id: int, kinds: Collection[str]) -> list[EndedHolding]:
    """Artifacts of these kinds that trials of a study still hold though they have ended."""
    ended = [state for state in TrialState if state.has_ended]
    query = (
        select(Artifact.id, Artifact.kind, Trial.number, Trial.state, Trial.source, Trial.parent)
        .join(Trial, Trial.id == Artifact.trial_id)
        .where(Trial.study_id == study_id, Trial.state.in_(ended), Artifact.kind.in_(kinds))
        .order_by(Artifact.id)
    )
    return [EndedHolding(*row) for row in session.execute(query)]


def by_id(session: Session, ids: Sequence[int]) -> Sequence[Artifact]:
    """The artifacts of these ids that are there."""
    found: list[Artifact] = []
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        found.extend(session.scalars(select(Artifact).where(Artifact.id.in_(part))))
    return found


def find(session: Session, artifact_id: int) -> Artifact:
    """The artifact of that id. Raises NotFound."""
    row = session.scalar(
        select(Artifact)
        .join(Trial, Trial.id == Artifact.trial_id)
        .join(Study, Study.id == Trial.study_id)
        .where(Artifact.id == artifact_id, Study.deleted_at.is_(None))
    )
    if row is None:
        raise NotFound(f"no artifact has the id {artifact_id}; it may have been replaced")
    return row


def checkpoints(session: Session, trial_id: int) -> Sequence[Artifact]:
    """A trial's checkpoints, the newest first."""
    return session.scalars(
        select(Artifact)
        .where(Artifact.trial_id == trial_id, Artifact.kind == ArtifactKind.CHECKPOINT)
        .order_by(Artifact.id.desc())
    ).all()


def last_checkpoint(session: Session, trial_id: int) -> Artifact | None:
    """The checkpoint from which the trial goes on."""
    return next(iter(checkpoints(session, trial_id)), None)


def lock_file(session: Session, sha256: str) -> None:
    """Let nobody else name or delete the file until the transaction ends.

    On SQLite the transaction that writes is the only one anyway.
    """
    if session.get_bind().dialect.name != "sqlite":
        key = _TURNS | int(sha256[:8], 16)
        session.execute(select(func.pg_advisory_xact_lock(key)))


def named(session: Session, digests: Sequence[str]) -> frozenset[str]:
    """Those of these files that a row names."""
    found: set[str] = set()
    for start in range(0, len(digests), 500):  # databases limit the length of IN
        part = digests[start : start + 500]
        found.update(session.scalars(select(Artifact.sha256).where(Artifact.sha256.in_(part))))
    return frozenset(found)


def drop(session: Session, rows: Sequence[Artifact]) -> tuple[str, ...]:
    """Delete rows; give the sha256 of files that no row names any more."""
    if not rows:
        return ()
    digests = sorted({row.sha256 for row in rows})
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):
        session.execute(delete(Artifact).where(Artifact.id.in_(ids[start : start + 500])))
    still_named = named(session, digests)
    return tuple(digest for digest in digests if digest not in still_named)
