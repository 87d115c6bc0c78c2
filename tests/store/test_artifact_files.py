"""A row that is written has its file, whatever else happens to that file meanwhile."""

import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.store.fleet import Fleet
from tuner.errors import SegtuneError, StorageError
from tuner.service import artifacts, files, upkeep
from tuner.spec.messages import ArtifactRef, Assignment
from tuner.store.artifacts import ArtifactStore, Upload
from tuner.store.engine import Database

LIMIT = 1000
Discard = Callable[[Database, ArtifactStore], None]


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """A study whose trials several workers may train."""
    fleet = Fleet(database)
    fleet.submit()
    return fleet


def hand_in(
    fleet: Fleet, held: Assignment, data: bytes, store: ArtifactStore, *, kind: str = "checkpoint"
) -> ArtifactRef:
    """Attach bytes that lie in the store already, or are written now."""
    stored = store.write([data], sha256=None, limit=LIMIT)
    upload = Upload(kind, kind, 1, stored)
    return artifacts.attach(fleet.db, held.lease, held.token, upload, store=store)


def age(store: ArtifactStore) -> None:
    """Let every file be an old one."""
    for path in store.folder.rglob("*"):
        os.utime(path, (0, 0))


def content(store: ArtifactStore, reference: ArtifactRef) -> bytes:
    """The bytes of an artifact."""
    with store.open(reference.sha256) as file:
        return file.read()


def test_what_a_newer_file_replaces_is_deleted(fleet: Fleet, tmp_path: Path) -> None:
    """Once it is not new any more; another trial that names it keeps it."""
    store = ArtifactStore(tmp_path)
    one, two = fleet.take("w1"), fleet.take("w2")
    first = hand_in(fleet, one, b"a", store)
    second = hand_in(fleet, two, b"a", store)
    age(store)
    hand_in(fleet, one, b"b", store)
    assert first.sha256 == second.sha256
    assert content(store, second) == b"a"
    age(store)
    hand_in(fleet, two, b"c", store)
    assert not store.has(second.sha256)


def test_an_upload_whose_bytes_were_deleted_comes_again(fleet: Fleet, tmp_path: Path) -> None:
    """It waited so long for its turn that another trial's file of the same bytes was replaced."""
    store = ArtifactStore(tmp_path)
    one, two = fleet.take("w1"), fleet.take("w2")
    hand_in(fleet, one, b"same", store)
    waiting = store.write([b"same"], sha256=None, limit=LIMIT)
    age(store)
    hand_in(fleet, one, b"newer", store)
    upload = Upload("checkpoint", "checkpoint", 1, waiting)
    with pytest.raises(StorageError, match="send the file again"):
        artifacts.attach(fleet.db, two.lease, two.token, upload, store=store)
    assert content(store, hand_in(fleet, two, b"same", store)) == b"same"


def by_a_newer_file(db: Database, store: ArtifactStore) -> None:
    """What an upload does with the file that it replaces."""
    sha256 = next(path.name for path in store.folder.glob("??/*"))
    files.discard(db, store, sha256, before=db.now())


def by_upkeep(db: Database, store: ArtifactStore) -> None:
    """What any server does now and then."""
    upkeep.sweep(db, store)


class Racing(ArtifactStore):
    """Has something done by another process when a file is about to be deleted."""

    meanwhile: Callable[[], None]

    def remove(self, sha256: str, *, before: datetime) -> bool:
        """Give the other process a head start."""
        other = threading.Thread(target=self.meanwhile)
        other.start()
        other.join(0.1)
        gone = super().remove(sha256, before=before)
        self.started = other
        return gone


@pytest.mark.parametrize("discard", [by_a_newer_file, by_upkeep])
def test_a_file_that_is_named_while_it_is_deleted(
    fleet: Fleet, tmp_path: Path, discard: Discard
) -> None:
    """Either it stays or the upload is told to come again, on several servers too."""
    store, other = Racing(tmp_path), Database(fleet.db.url)
    held = fleet.take()
    stored = store.write([b"state"], sha256=None, limit=LIMIT)
    age(store)
    found: list[ArtifactRef | SegtuneError] = []

    def name_it() -> None:
        upload = Upload("checkpoint", "checkpoint", 1, stored)
        try:
            found.append(
                artifacts.attach(
                    other, held.lease, held.token, upload, store=ArtifactStore(tmp_path)
                )
            )
        except SegtuneError as error:
            found.append(error)

    store.meanwhile = name_it
    discard(fleet.db, store)
    store.started.join()
    other.dispose()
    (answer,) = found
    assert isinstance(answer, StorageError) or content(store, answer) == b"state"  # type: ignore[arg-type]


def test_a_file_that_came_again_is_not_swept(fleet: Fleet, tmp_path: Path) -> None:
    """It was old when upkeep looked, and is new when its turn comes."""

    class Arriving(ArtifactStore):
        def older_than(self, cutoff: datetime) -> tuple[str, ...]:
            found = super().older_than(cutoff)
            self.write([b"again"], sha256=None, limit=LIMIT)
            return found

    store = Arriving(tmp_path)
    stored = store.write([b"again"], sha256=None, limit=LIMIT)
    age(store)
    assert upkeep.sweep(fleet.db, store) == 0
    assert store.has(stored.sha256)


def test_files_of_others_are_not_swept(fleet: Fleet, tmp_path: Path) -> None:
    """Whoever keeps something in the folder finds it again."""
    store = ArtifactStore(tmp_path)
    note = tmp_path / "ab" / "abandoned.txt"
    note.parent.mkdir()
    note.touch()
    stored = store.write([b"nobody's"], sha256=None, limit=LIMIT)
    age(store)
    assert upkeep.sweep(fleet.db, store) == 1
    assert (note.exists(), store.has(stored.sha256)) == (True, False)


def test_an_upload_is_safe_though_what_it_replaces_stays(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that refuses a deletion fails nobody."""
    store, held = ArtifactStore(tmp_path), fleet.take()
    hand_in(fleet, held, b"old", store)

    def refuse(*_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store, "remove", refuse)
    assert content(store, hand_in(fleet, held, b"new", store)) == b"new"
