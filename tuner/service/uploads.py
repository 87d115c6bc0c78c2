"""Bytes of artifacts as they come: whole, or the rest of an upload that broke off."""

from collections.abc import Iterable
from contextlib import suppress

from tuner.errors import DigestMismatch, NotFound, UploadBusy, UploadMoved
from tuner.spec.messages import RESUMABLE
from tuner.store.artifacts import ArtifactStore, Stored
from tuner.store.partials import Partials, PartialUpload, part_of

__all__ = ["PartialUpload", "Receiver", "part_of"]


class Receiver:
    """Where the bytes of artifacts come in; of each at most `limit`."""

    def __init__(self, store: ArtifactStore, partials: Partials, *, limit: int) -> None:
        self._store, self._partials, self._limit = store, partials, limit

    def offset(self, part: PartialUpload) -> int:
        """How many bytes are here of an upload; all of them if the store has the very file.

        Raises:
            UploadBusy: another request writes it.
        """
        with self._partials.turn(part) as mine:
            if not mine:
                raise _busy()
            return self._here(part)

    def whole(self, part: PartialUpload, chunks: Iterable[bytes], *, length: int) -> Stored:
        """Store a file of `length` bytes; if they break off, those of a large one stay.

        One that has no room on the server's own disk, or that another request writes, goes to the
        store at once, and leaves nothing if it breaks off.

        Raises:
            DigestMismatch, TooLarge, StorageFull, StorageError: as `ArtifactStore.write`.
        """
        if length >= RESUMABLE and self._partials.has_room(length):
            with self._partials.turn(part) as mine:
                if mine:
                    return self._written(part, chunks, offset=0)
        return self._store.write(chunks, sha256=part.sha256, limit=self._limit)

    def rest(self, part: PartialUpload, chunks: Iterable[bytes], *, offset: int) -> Stored:
        """Store a file of which these bytes are the rest, from `offset` on.

        Raises:
            UploadMoved: it has another number of bytes.
            UploadBusy: another request writes it.
            DamagedArtifact: the store has the file already, with other bytes.
            DigestMismatch, TooLarge, StorageFull, StorageError: as `ArtifactStore.write`.
        """
        with self._partials.turn(part) as mine:
            if not mine:
                raise _busy()
            here = self._here(part)
            if offset != here:
                raise UploadMoved(
                    f"{here} bytes of this upload are here, and these begin at {offset}; go on at "
                    f"{here}, or send the whole file",
                    here,
                )
            if self._partials.size(part) or not here:
                return self._written(part, chunks, offset=offset)
            return self._known(Stored(part.sha256, here), chunks)

    def _here(self, part: PartialUpload) -> int:
        size = self._partials.size(part)
        if not size:
            with suppress(NotFound):
                size = self._store.size(part.sha256)
        return size

    def _written(self, part: PartialUpload, chunks: Iterable[bytes], *, offset: int) -> Stored:
        stored = self._partials.write(part, chunks, offset=offset, limit=self._limit)
        self._partials.complete(part, stored, self._store)
        return stored

    def _known(self, stored: Stored, chunks: Iterable[bytes]) -> Stored:
        """A file that the store has, once its bytes are known to be right."""
        if any(chunks):
            raise DigestMismatch(
                f"all {stored.size} bytes of this file are here, and more came; send it again"
            )
        for _ in self._store.read(stored):
            pass
        return stored


def _busy() -> UploadBusy:
    return UploadBusy("another request still writes this upload; ask again when it has ended")
