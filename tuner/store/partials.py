"""Uploads that broke off: the bytes that came wait in a folder for the rest.

Server processes that share the folder take turns, upload by upload. A lease has one such file for
each of its artifacts; a newer upload of other bytes takes its place.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from tuner.atomic import last_written
from tuner.errors import DigestMismatch, StorageError, StorageFull, TooLarge
from tuner.store.artifacts import ArtifactStore, Stored, check_digest, copied

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_TURNS = 3  # hexadecimal digits that tell turns apart: so many lock files lie there at most


class PartialUpload(NamedTuple):
    """Which upload: whose it is, in letters that may be a path, and what its bytes are to be."""

    key: str
    sha256: str


def part_of(lease: str, name: str, sha256: str) -> PartialUpload:
    """The upload of an artifact under a lease: of no other attempt."""
    key = hashlib.sha256(f"{lease}/{name}".encode()).hexdigest()
    return PartialUpload(key[:32], sha256.lower())


class Partials:
    """A folder of files that are not whole yet; it is made when the first comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may be kept, as far as that is known before they come."""
        try:
            return self._is_writable() and shutil.disk_usage(self._place()).free >= size
        except OSError:  # what is wrong is said where the bytes are written
            return True

    def _place(self) -> Path:
        """The folder, or the one in which it would be made."""
        return next(place for place in (self._folder, *self._folder.parents) if place.exists())

    def _is_writable(self) -> bool:
        return os.access(self._place(), os.W_OK)

    @contextmanager
    def turn(self, part: PartialUpload) -> Iterator[bool]:
        """Whether nobody else writes the upload, in this process or another, while this lasts.

        Where nothing can be written nobody does.
        """
        if not self._is_writable():
            yield True
            return
        locks = self._folder / "locks"
        with self._said():
            locks.mkdir(parents=True, exist_ok=True)
            lock = FileLock(locks / part.key[:_TURNS])
            with suppress(Timeout):
                lock.acquire(timeout=0)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def size(self, part: PartialUpload) -> int:
        """How many bytes of the upload are here."""
        try:
            return self._path(part).stat().st_size
        except OSError:
            return 0

    def write(
        self, part: PartialUpload, chunks: Iterable[bytes], *, offset: int, limit: int
    ) -> Stored:
        """Put bytes after the first `offset` ones; the caller has the turn, and these are the last.

        If they break off, those that came stay.

        Raises:
            DigestMismatch: the whole is not what was announced; it is deleted.
            TooLarge: it passes `limit` bytes; it is deleted.
            StorageFull: the disk has no room for the rest; what came is deleted, to make some.
            StorageError: the disk refused them.
        """
        path = self._path(part)
        try:
            with self._said():
                self._forget(part)
                with open(path, "ab", opener=_private) as file:
                    file.truncate(offset)
                    stored = copied(chunks, file, limit, start=offset)
                    file.flush()
                    os.fsync(file.fileno())
                if offset:
                    stored = Stored(_digest(path), stored.size)
                os.utime(path)  # else a file that came long ago could be deleted as nobody's
            check_digest(stored, part.sha256)
        except (DigestMismatch, StorageFull, TooLarge):
            path.unlink(missing_ok=True)
            raise
        return stored

    def complete(self, part: PartialUpload, stored: Stored, store: ArtifactStore) -> None:
        """Let the store have a file that is whole. Raises StorageError: it stays here."""
        with self._said():
            store.adopt(self._path(part), stored)

    def discard_older(self, cutoff: datetime) -> int:
        """Delete what was last written before `cutoff`; give how many files that were."""
        count = 0
        for path in self._folder.glob("*.part"):
            if last_written(path) >= cutoff.timestamp():
                continue
            with self.turn(PartialUpload(*path.stem.split("-", 1))) as mine:
                if mine and last_written(path) < cutoff.timestamp():
                    path.unlink(missing_ok=True)
                    count += 1
        return count

    def _forget(self, part: PartialUpload) -> None:
        """Delete what an earlier upload of the same artifact has left."""
        for path in self._folder.glob(f"{part.key}-*.part"):
            if path != self._path(part):
                path.unlink(missing_ok=True)

    def _path(self, part: PartialUpload) -> Path:
        return self._folder / f"{part.key}-{part.sha256}.part"

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Make an error of ours of what the disk says."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull(
                    f"the disk under {self._folder}, the folder of uploads, is full "
                    f"({error.strerror}); make room there, or delete studies"
                ) from error
            raise StorageError(
                f"{self._folder}, the folder of uploads, refused a file: {error.strerror}; "
                "let the server write there"
            ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    """Open a file that only the server's user reads."""
    return os.open(path, flags, 0o600)
