"""A remote data set is fetched once, and again where it changed."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tests.training import samples
from tuner.errors import DataError
from tuner.training.data import load as data
from tuner.training.data import remote
from tuner.training.data.load import Data
from workers.settings import WorkerSettings

URL = "memory://bucket/set"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    """The files of `write_folder` in fsspec's memory."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    local = samples.write_folder(tmp_path / "origin")
    for path in sorted(local.rglob("*.png")):
        found.pipe(f"/bucket/set/{path.relative_to(local).as_posix()}", path.read_bytes())
    yield found
    found.store.clear()


def load(tmp_path: Path, root: str = URL, allowed: str = "memory://bucket") -> Data:
    """Open the remote folder on a worker that allows a remote place."""
    settings = WorkerSettings(data_roots=(Path(allowed),), home=tmp_path)
    return data.load(samples.folder(root=root), cache=tmp_path / "cache", roots=settings.data_roots)


def test_a_remote_set_is_the_local_one(store: Any, tmp_path: Path) -> None:
    """Same files, same fingerprint."""
    local = data.load(samples.folder(), cache=tmp_path / "other", roots=(tmp_path / "origin",))
    assert load(tmp_path).fingerprint == local.fingerprint


def test_only_what_changed_is_fetched(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time nothing moves; a new file moves alone, a removed one goes."""
    load(tmp_path)
    fetched: list[str] = []
    opened = type(store).open

    def watched(self: Any, path: str, mode: str = "rb", **options: Any) -> Any:
        if mode == "rb":
            fetched.append(path.removeprefix("/bucket/set/"))
        return opened(self, path, mode, **options)

    monkeypatch.setattr(type(store), "open", watched)
    load(tmp_path)
    assert fetched == []
    for kind in ("images", "labels"):
        store.pipe(f"/bucket/set/{kind}/train/9.png", store.cat(f"/bucket/set/{kind}/val/000.png"))
        store.rm(f"/bucket/set/{kind}/train/001.png")
    fetched.clear()
    assert load(tmp_path).train.names == ("000", "002", "9")
    assert fetched == ["images/train/9.png", "labels/train/9.png"]


def test_an_unreachable_source_leaves_the_copy(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Training goes on with what is there, and the log says so."""
    first = load(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(remote, "_opened", refuse)
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path).fingerprint == first.fingerprint
    assert "no route" in caplog.text
    with pytest.raises(DataError, match=r"cannot be read: no route"):
        load(tmp_path, f"{URL}/images")


@pytest.mark.parametrize(
    "root", ["memory://bucket2/set", "memory://bucket/../x", "s3://bucket", "memory://bucket::a"]
)
def test_places_that_are_not_allowed_are_refused(store: Any, tmp_path: Path, root: str) -> None:
    """A study reads only below the addresses that the operator allowed."""
    with pytest.raises(DataError, match="allowed roots"):
        load(tmp_path, root)


def test_an_empty_place_is_said_to_be_empty(store: Any, tmp_path: Path) -> None:
    """A wrong prefix is not an empty data set."""
    with pytest.raises(DataError, match="no file below"):
        load(tmp_path, "memory://bucket/none")


def test_without_the_package_the_message_names_it(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said, and what to do instead."""
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(DataError, match="needs the package fsspec"):
        load(tmp_path)


def test_addresses_survive_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The colon of an address does not divide the list of roots."""
    monkeypatch.setenv("SEGTUNE_DATA_ROOTS", "/data:s3://bucket/sets:/more")
    roots = WorkerSettings().data_roots
    assert [remote.url_of(root) for root in roots] == [None, "s3://bucket/sets", None]
