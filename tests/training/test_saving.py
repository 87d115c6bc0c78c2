"""A disk that takes no more is told as such, whatever torch says of it."""

import errno
from pathlib import Path

import pytest
import torch

from tuner.spec.messages import Unfitness
from tuner.training import saving
from tuner.training.failures import classify

FULL = Path("/dev/full")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """It is a file that `torch.load` takes."""
    saving.write({"a": torch.arange(3), "b": "text"}, tmp_path / "body.pt")

    found = torch.load(tmp_path / "body.pt", weights_only=True)
    assert (found["a"].tolist(), found["b"]) == ([0, 1, 2], "text")


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_full_disk_is_the_machines_fault(size: int) -> None:
    """The trial goes to another worker; torch itself would speak of an unexpected position."""
    with pytest.raises(OSError, match="No space left on device: '/dev/full'") as caught:
        saving.write({"a": torch.zeros(size)}, FULL)

    assert caught.value.errno == errno.ENOSPC
    assert classify(caught.value) == Unfitness.MACHINE
