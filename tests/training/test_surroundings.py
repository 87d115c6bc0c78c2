"""Whose fault it is when a trial cannot be trained: the machine's surroundings, or the trial's."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.training.samples import folder, write_folder
from tuner.errors import (
    CheckpointMismatch,
    DataError,
    DataUnavailable,
    Diverged,
    OutOfMemory,
    PackageMissing,
    TrainingError,
    WeightsUnavailable,
)
from tuner.spec.messages import Unfitness
from tuner.training.data import cache, pairs
from tuner.training.data import load as data
from tuner.training.failures import classify

REFUSALS = (errno.EACCES, errno.EIO, errno.ENOENT, errno.ESTALE, errno.ENOTCONN, errno.EMFILE)


def load(tmp_path: Path) -> data.Data:
    """The data set that `write_folder` writes below `tmp_path`."""
    return data.load(folder(), cache=tmp_path / "cache", roots=(tmp_path,))


def refusing(code: int) -> Any:
    """Stands in for something that the system refuses."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(code, "refused", "/sets/a.png")

    return refuse


@pytest.mark.parametrize("missing", [".", "set", "set/images/train", "set/labels/val"])
def test_data_that_is_not_there_is_the_machines_fault(tmp_path: Path, missing: str) -> None:
    """A root that is not mounted, and a folder of it without a file, may be whole elsewhere."""
    root = tmp_path / "root"
    write_folder(root)
    (root / missing).rename(tmp_path / "gone")
    (root / missing).mkdir(parents=True)
    with pytest.raises(DataUnavailable):
        data.load(folder(), cache=tmp_path / "cache", roots=(root,))


@pytest.mark.parametrize("code", REFUSALS)
def test_a_file_that_the_system_refuses_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """No permission, a failing disk, a file that is gone: it is named, and fine elsewhere."""
    write_folder(tmp_path)
    monkeypatch.setattr(Image, "open", refusing(code))
    with pytest.raises(DataUnavailable, match=r"000.*cannot be read on this machine"):
        load(tmp_path)


@pytest.mark.parametrize("code", REFUSALS)
def test_a_folder_that_the_system_refuses_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Also where files are listed and not yet read."""
    write_folder(tmp_path)
    monkeypatch.setattr(pairs, "listing", refusing(code))
    with pytest.raises(DataUnavailable, match=r"a\.png: cannot be read on this machine"):
        load(tmp_path)


def test_a_broken_file_is_broken_everywhere(tmp_path: Path) -> None:
    """Content that no decoder takes is the data set's fault, whatever else is missing here."""
    base = write_folder(tmp_path)
    broken = base / "images" / "train" / "001.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(DataError, match="001") as caught:
        load(tmp_path)
    assert not isinstance(caught.value, DataUnavailable)


def test_a_broken_file_beside_an_unreadable_one_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine would fail on it too."""
    base = write_folder(tmp_path)
    (base / "images" / "train" / "001.png").write_bytes(b"no picture")
    opened = Image.open

    def refuse_one(path: Any, *rest: Any, **options: Any) -> Image.Image:
        if Path(path).name == "002.png":
            raise PermissionError(errno.EACCES, "refused", str(path))
        return opened(path, *rest, **options)

    monkeypatch.setattr(Image, "open", refuse_one)
    with pytest.raises(DataError, match="2 of 3") as caught:
        load(tmp_path)
    assert not isinstance(caught.value, DataUnavailable)


def test_too_little_memory_to_decode_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with more memory may have enough."""
    write_folder(tmp_path)

    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(cache, "fit", fail)
    with pytest.raises(DataUnavailable, match="not enough memory"):
        load(tmp_path)


def test_a_full_disk_is_the_machines_fault_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decoded so far is deleted, and the next attempt decodes anew."""
    write_folder(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(cache._Tally, "digest", refusing(errno.ENOSPC))
        with pytest.raises(OSError, match="refused") as caught:
            load(tmp_path)
    assert classify(caught.value) == Unfitness.MACHINE
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
    assert len(load(tmp_path).train) == 3


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_cache_that_cannot_be_written_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It is told as it is, and not as the data set's."""
    write_folder(tmp_path)
    monkeypatch.setattr(Path, "mkdir", lambda self, **_: refusing_at(self, code))
    with pytest.raises(OSError, match="refused") as caught:
        load(tmp_path)
    assert classify(caught.value) == Unfitness.MACHINE


def refusing_at(path: Path, code: int) -> None:
    """What the system says of a path."""
    raise OSError(code, "refused", str(path))


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: no CUDA-capable device is detected",
        "Found no NVIDIA driver on your system",
        "CUDA driver initialization failed, you might not have a CUDA gpu.",
        "CUDA error: all CUDA-capable devices are busy: CUDA-capable device(s) is/are busy or "
        "unavailable",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: unspecified launch failure",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
        "NVML: GPU is lost",
    ],
)
def test_a_device_that_is_gone_is_the_machines_fault(text: str) -> None:
    """What CUDA and its libraries say of it."""
    assert classify(RuntimeError(text)) == Unfitness.DEVICE


def test_a_checkpoint_that_the_disk_does_not_take_is_the_machines_fault(tmp_path: Path) -> None:
    """torch.save hides the system's number behind an error of its own."""
    with pytest.raises((RuntimeError, OSError)) as caught, Path("/dev/full").open("wb") as full:
        torch.save({"w": torch.zeros(100_000)}, full)
    assert classify(caught.value) == Unfitness.MACHINE


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Diverged("nan"), "diverged"),
        (DataError("mislabelled"), "data"),
        (WeightsUnavailable("no hub"), Unfitness.WEIGHTS),
        (PackageMissing("no onnx"), Unfitness.PACKAGE),
        (OutOfMemory("one image"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("CUDA error: device-side assert triggered"), "exception"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "exception"),
        (TrainingError("batch_size is 1"), "invalid_config"),
        (CheckpointMismatch("of another config"), "exception"),
        (OSError("a decoder's own words"), "exception"),
        (KeyError("loss"), "exception"),
    ],
)
def test_what_the_trial_is_to_blame_for_stays_its_own(error: Exception, kind: str) -> None:
    """The params, the config or the code: another machine would come to the same."""
    assert classify(error) == kind
