"""Artifacts at any URL that fsspec reaches, such as `s3://bucket/prefix`."""

import hashlib
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from tuner.errors import InvalidInput, PackageMissing, Problem, SegtuneError, StorageError
from tuner.store.artifacts import CHUNK, ArtifactStore, Stored, check_digest, copied

_DIGEST = re.compile("[0-9a-f]{64}")  # what others keep there stays
_PART = 16 * 2**20  # bytes that are sent or fetched at once, and held in memory meanwhile


class Bucket(ArtifactStore):
    """Files named by their sha256 below a URL; each is there whole or not at all."""

    def __init__(self, url: str) -> None:
        """Connect lazily. Raises InvalidInput, PackageMissing."""
        super().__init__(url.rstrip("/"))
        self._fs, root = _reached(self.place)
        self._root = root.rstrip("/")

    def write(self, chunks: Iterable[bytes], *, sha256: str | None, limit: int) -> Stored:
        """Stream bytes up in parts, which become a file once they are known to be right.

        Raises:
            DigestMismatch: the bytes are not those that `sha256` announced.
            TooLarge: more than `limit` bytes came.
            StorageError: the storage refused them.
        """
        if sha256 is None:
            with tempfile.TemporaryFile() as spool:
                known = copied(chunks, spool, limit)
                spool.seek(0)
                again = iter(lambda: spool.read(CHUNK), b"")
                return self.write(again, sha256=known.sha256, limit=limit)
        with self._said("takes no file"):
            file = self._begun(self._file(sha256.lower()))
            try:
                stored = copied(chunks, file, limit)
                check_digest(stored, sha256)
                file.close()
            except BaseException:
                file.discard()
                file.closed = True  # or it would be sent after all when it is forgotten
                raise
            file.commit()
        return stored

    def adopt(self, whole: Path, stored: Stored) -> None:
        """Send a file whose bytes are known, and delete it here. Raises StorageError."""
        with whole.open("rb") as file:
            chunks = iter(lambda: file.read(CHUNK), b"")
            self.write(chunks, sha256=stored.sha256, limit=stored.size)
        whole.unlink()

    def _begun(self, path: str) -> Any:
        """A file that is there only once it is committed. Raises StorageError."""
        from fsspec.spec import AbstractBufferedFile

        file = self._fs.open(path, "wb", block_size=_PART, autocommit=False)
        if not isinstance(file, AbstractBufferedFile):
            raise StorageError(
                f"{self.place} does not take a file whole or not at all; give an object store, "
                "such as s3://bucket/prefix, by SEGTUNE_ARTIFACTS"
            )
        return file

    def require_room(self, size: int) -> None:
        """There is no end of it that could be known before."""

    def open(self, sha256: str) -> BinaryIO:
        """The file for reading. Raises NotFound, StorageError."""
        with self._said("gives no file"):
            try:
                file = self._fs.open(self._file(sha256), "rb", block_size=_PART)
            except FileNotFoundError:
                raise self._gone(sha256) from None
        return cast("BinaryIO", file)

    def has(self, sha256: str) -> bool:
        """Whether the file is there. Raises StorageError."""
        return self._info(sha256) is not None

    def remove(self, sha256: str, *, before: datetime) -> bool:
        """Delete the file if it came before that time; that it is gone already is fine."""
        info = self._info(sha256)
        if info is None or _written(info) >= before:
            return False
        with self._said("deletes no file"):
            self._fs.rm_file(self._file(sha256))
        return True

    def older_than(self, cutoff: datetime) -> tuple[str, ...]:
        """Names of files last written before `cutoff`."""
        with self._said("lists no files"):
            found = self._fs.find(self._root, detail=True)
        old = (path.rpartition("/")[2] for path, info in found.items() if _written(info) < cutoff)
        return tuple(filter(_DIGEST.fullmatch, old))

    def probe(self) -> None:
        """Write, read and delete a file. Raises StorageError."""
        content = secrets.token_bytes(16)
        stored = self.write([content], sha256=hashlib.sha256(content).hexdigest(), limit=16)
        if b"".join(self.read(stored)) != content:
            raise StorageError(f"{self.place} gives other bytes than it was given")
        self.remove(stored.sha256, before=datetime.max.replace(tzinfo=UTC))

    def _state(self, sha256: str) -> tuple[int, object]:
        info = self._info(sha256)
        if info is None:
            raise self._gone(sha256)
        return int(info["size"]), (info.get("ETag"), _written(info))

    def _info(self, sha256: str) -> dict[str, Any] | None:
        with self._said("answers nothing"):
            try:
                found: dict[str, Any] = self._fs.info(self._file(sha256))
            except FileNotFoundError:
                return None
        return found

    def _file(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}"

    @contextmanager
    def _said(self, what: str) -> Iterator[None]:
        """Make an error of ours of what the storage says: each kind has errors of its own."""
        try:
            yield
        except SegtuneError:
            raise
        except Exception as error:
            raise StorageError(
                f"{self.place} {what}: {type(error).__name__}: {error}; check SEGTUNE_ARTIFACTS, "
                "the credentials in the server's environment, and what they allow"
            ) from error


def _reached(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the place in it. Raises InvalidInput, PackageMissing."""
    try:
        from fsspec.core import url_to_fs

        return cast("tuple[Any, str]", url_to_fs(url, use_listings_cache=False))
    except ImportError as error:
        raise PackageMissing(
            f"artifacts at {url} need a package that is not installed ({error}): "
            "pip install 'segtune[s3]' for s3://, or the one that the message names"
        ) from error
    except ValueError as error:
        message = f"artifacts cannot be kept at {url}: {error}; give a folder or s3://bucket/prefix"
        raise InvalidInput([Problem(("SEGTUNE_ARTIFACTS",), message)]) from error


def _written(info: dict[str, Any]) -> datetime:
    """When a file was written; now, where the storage does not say it."""
    said = info.get("LastModified") or info.get("mtime") or info.get("created")
    if isinstance(said, int | float):
        return datetime.fromtimestamp(said, UTC)
    if isinstance(said, datetime):
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    return datetime.now(UTC)
