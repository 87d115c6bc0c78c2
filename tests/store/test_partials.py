"""Uploads come in pieces, and are whole or not at all in the end."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import DigestMismatch, Malformed, StorageError, StorageFull
from tuner.service import uploads
from tuner.service.uploads import Receiver, part_of
from tuner.store.artifacts import ArtifactStore, Stored
from tuner.store.partials import Partials

LIMIT = 1000
DATA = bytes(range(200))
PART = part_of("lease", "model", hashlib.sha256(DATA).hexdigest())


@pytest.fixture(autouse=True)
def _every_file_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "RESUMABLE", 1)


def receiver(folder: Path) -> Receiver:
    """An empty store with a place for what is not whole."""
    return Receiver(ArtifactStore(folder), Partials(folder / "uploads"), limit=LIMIT)


def breaking(*chunks: bytes, error: Exception | None = None) -> Iterator[bytes]:
    """Chunks after which no other comes."""
    yield from chunks
    raise error or Malformed("the upload broke off")


def files(folder: Path) -> list[str]:
    """Names of all files that are there, but for locks."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"]
    return sorted(path.name for path in found)


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=6), whole_again=st.booleans())
def test_pieces_make_the_whole(cuts: Sequence[int], *, whole_again: bool) -> None:
    """Wherever it breaks off and however often; sending all of it again is always right."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        here = receiver(folder)
        for cut in sorted(cuts):
            at = here.offset(PART)
            with pytest.raises(Malformed):
                here.rest(PART, breaking(DATA[at:cut]), offset=at)
            assert here.offset(PART) == cut
        at = here.offset(PART)
        if whole_again:
            stored = here.whole(PART, [DATA], length=len(DATA))
        else:
            stored = here.rest(PART, [DATA[at:]], offset=at)
        assert stored == Stored(PART.sha256, len(DATA))
        assert files(folder) == [PART.sha256]
        assert (folder / PART.sha256[:2] / PART.sha256).read_bytes() == DATA


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up(tmp_path: Path, number: int) -> None:
    """It is said, and what came makes room: it could never be whole beside others like it."""
    here = receiver(tmp_path)
    with pytest.raises(Malformed):
        here.whole(PART, breaking(DATA[:50]), length=len(DATA))
    with pytest.raises(StorageFull, match="make room there"):
        here.rest(PART, breaking(DATA[50:60], error=OSError(number, "full")), offset=50)
    assert files(tmp_path) == []


def test_a_disk_that_refuses(tmp_path: Path) -> None:
    """Another refusal is another error, and what came stays."""
    here = receiver(tmp_path)
    with pytest.raises(StorageError, match="let the server write there") as caught:
        here.whole(PART, breaking(DATA[:50], error=OSError(errno.EIO, "bad")), length=len(DATA))
    assert not isinstance(caught.value, StorageFull)
    assert here.offset(PART) == 50


def test_no_room_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server's own disk is the smaller one, a file goes to the store at once."""
    here = receiver(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(DATA) - 1))
    with pytest.raises(Malformed):
        here.whole(PART, breaking(DATA[:50]), length=len(DATA))
    assert here.offset(PART) == 0
    assert here.whole(PART, [DATA], length=len(DATA)) == Stored(PART.sha256, len(DATA))


def test_a_disk_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that keeps its files in a bucket needs none: its uploads cannot be resumed."""
    here = receiver(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(Malformed):
        here.whole(PART, breaking(DATA[:50]), length=len(DATA))
    assert here.offset(PART) == 0
    here.whole(PART, [DATA], length=len(DATA))
    assert here.offset(PART) == len(DATA)
    assert here.rest(PART, [], offset=len(DATA)) == Stored(PART.sha256, len(DATA))
    assert not (tmp_path / "uploads").exists()


def test_another_file_takes_its_place(tmp_path: Path) -> None:
    """A lease has one upload of a name; a newer checkpoint does not lie beside the older one."""
    here = receiver(tmp_path)
    other = part_of("lease", "model", hashlib.sha256(b"newer").hexdigest())
    for part in (PART, other):
        with pytest.raises(Malformed):
            here.whole(part, breaking(b"new"), length=5)
    assert (here.offset(PART), here.offset(other)) == (0, 3)
    assert len(files(tmp_path)) == 1


def test_a_store_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bytes have come, and none of them comes again."""
    here = receiver(tmp_path)

    def refuse(*_: object) -> None:
        raise StorageError("the bucket is away")

    with monkeypatch.context() as away:
        away.setattr(ArtifactStore, "adopt", refuse)
        with pytest.raises(StorageError, match="away"):
            here.whole(PART, [DATA], length=len(DATA))
    assert here.offset(PART) == len(DATA)
    assert here.rest(PART, [], offset=len(DATA)) == Stored(PART.sha256, len(DATA))


def test_names_are_not_paths(tmp_path: Path) -> None:
    """Whatever a lease and an artifact are called, all of it lies in the folder."""
    here = receiver(tmp_path)
    odd = part_of("../../x", "/etc/passwd", PART.sha256.upper())
    with pytest.raises(DigestMismatch):
        here.whole(odd, [b"x"], length=1)
    assert here.whole(odd, [DATA], length=1).sha256 == PART.sha256
    assert files(tmp_path) == [PART.sha256]
