"""A file is written whole or not at all."""

import errno
import math
import os
import stat
from pathlib import Path
from typing import NoReturn

import pytest

from tuner.atomic import discard_drafts, last_written, replacing


def names(folder: Path) -> list[str]:
    """All that lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """Until then readers see the one before."""
    path = tmp_path / "best.json"
    path.write_text("old")
    with replacing(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["best.json"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_leaves_the_file_before_and_no_draft(tmp_path: Path, error: BaseException) -> None:
    """Half a file takes nobody's place, and no room."""
    path = tmp_path / "best.json"
    path.write_text("old")

    def write() -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["best.json"]


def test_several_may_write_at_once(tmp_path: Path) -> None:
    """Each has a draft of its own; the last to end wins."""
    path = tmp_path / "note"
    with replacing(path) as outer:
        with replacing(path) as inner:
            inner.write_text("first")
            outer.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"


def test_a_draft_ends_as_its_file_does(tmp_path: Path) -> None:
    """Libraries choose a format by it; listings take hidden files for none."""
    with replacing(tmp_path / "sheet.webp") as draft:
        assert draft.suffix == ".webp"
        assert draft.name.startswith(".")


def test_errors_name_the_file_and_not_the_draft(tmp_path: Path) -> None:
    """A draft is nobody's business."""
    path = tmp_path / "gone" / "best.json"
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        pass
    assert caught.value.filename == str(path)


def test_a_disk_that_is_full_at_the_end_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems say so at the sync only; the file before stays."""

    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tuner.atomic.os.fsync", full)
    path = tmp_path / "model.pt"
    path.write_text("old")
    with (
        pytest.raises(OSError, match="No space left on device") as caught,
        replacing(path) as draft,
    ):
        draft.write_text("new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["model.pt"]


def test_a_secret_may_be_its_owners_alone(tmp_path: Path) -> None:
    """From the first byte on; other files get what the process gives."""
    before = os.umask(0o022)
    try:
        with replacing(tmp_path / "token", mode=0o600) as draft:
            assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        with replacing(tmp_path / "text"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "text").stat().st_mode) == 0o644


def test_drafts_of_killed_processes_can_be_deleted(tmp_path: Path) -> None:
    """Those of one file, or all in a folder; what is no draft stays."""
    for name in ("a", "b"):
        (tmp_path / name).write_text("whole")
        (tmp_path / f".part-0123abcd-{name}").write_text("half")
    discard_drafts(tmp_path, "a")
    assert names(tmp_path) == [".part-0123abcd-b", "a", "b"]
    discard_drafts(tmp_path)
    assert names(tmp_path) == ["a", "b"]


def test_a_file_that_has_gone_was_never_written_long_ago(tmp_path: Path) -> None:
    """Whoever deletes what is old leaves alone what another process has moved meanwhile."""
    path = tmp_path / "moved"
    path.write_text("new")
    os.utime(path, (7, 7))
    assert last_written(path) == 7
    path.unlink()
    assert last_written(path) == math.inf
