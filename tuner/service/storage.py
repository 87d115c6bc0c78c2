"""What use cases read and write, opened and closed for a server: its database and its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tuner.errors import StorageError
from tuner.store import migrate
from tuner.store.artifacts import ArtifactStore
from tuner.store.bucket import Bucket
from tuner.store.engine import CONNECTIONS, Database, is_for_several
from tuner.store.neighbours import Neighbours
from tuner.store.partials import Partials

__all__ = [
    "CONNECTIONS",
    "ArtifactStore",
    "Database",
    "Neighbours",
    "Partials",
    "Storage",
    "artifact_store",
    "check",
    "is_for_several",
    "opened",
    "partial_uploads",
    "probe",
    "upgrade",
]


class Storage(NamedTuple):
    """Rows, and the bytes that some of them name."""

    db: Database
    artifacts: ArtifactStore


def upgrade(url: str) -> None:
    """Bring the database at a URL to the tables of this release. Raises StorageError."""
    migrate.upgrade(url)


@contextmanager
def opened(url: str, artifacts: str | Path, *, connections: int = CONNECTIONS) -> Iterator[Storage]:
    """Give the storage until the block ends; `artifacts` is a folder or a URL.

    Raises:
        InvalidInput, PackageMissing, StorageError: it cannot be reached.
    """
    db = Database(url, connections=connections)
    try:
        yield Storage(db, artifact_store(artifacts))
    finally:
        db.dispose()


def artifact_store(place: str | Path) -> ArtifactStore:
    """The store in a folder or at a URL. Raises InvalidInput, PackageMissing."""
    return Bucket(str(place)) if "://" in str(place) else ArtifactStore(place)


def partial_uploads(place: str | Path, home: Path) -> Partials:
    """Uploads that are not whole yet: beside the files of a folder, at home for those of a URL."""
    return Partials((home if "://" in str(place) else Path(place)) / "uploads")


def probe(url: str) -> None:
    """Write, read and delete a file at a URL.

    Raises:
        InvalidInput, PackageMissing, StorageError: artifacts cannot be kept there.
    """
    Bucket(url).probe()


def check(db: Database) -> None:
    """Raise StorageError unless the database answers and has tables that this release can serve."""
    if not migrate.is_served(db):
        raise StorageError("the database has older tables, or none; `segtune db upgrade`")
