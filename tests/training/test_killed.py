"""A run that is killed ends as if it had not been: with its best epoch and its last."""

import signal
import subprocess
import sys
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import torch

from tests.training import victim
from tuner.spec.messages import OutcomeKind
from tuner.training import checkpoint
from tuner.training.train import MODEL


def killed(cache: Path, folder: Path, what: signal.Signals, after: int) -> None:
    """Start the victim, and send it a signal when it has told of that many steps."""
    command = [sys.executable, "-m", "tests.training.victim", str(cache), str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n" * (after - 1))
        process.stdin.flush()
        for _ in range(after):
            assert process.stdout.readline() == "step\n"
        process.send_signal(what)
        assert process.wait(timeout=60) == -what


@pytest.mark.timeout(300)
def test_killed_twice_it_ends_bit_for_bit_alike(tmp_path: Path) -> None:
    """Two processes die in the midst of their work, a third one ends it; no bit differs."""
    cache, straight, cut = (tmp_path / name for name in ("cache", "straight", "cut"))
    assert victim.go(cache, straight).provenance["model_epoch"] == 3
    # A step and a score to an epoch: in the third one the first checkpoint lies on disk.
    killed(cache, cut, signal.SIGTERM, after=5)
    killed(cache, cut, signal.SIGKILL, after=1)
    assert (cut / checkpoint.NAME).exists()
    assert victim.go(cache, cut).kind is OutcomeKind.COMPLETED
    assert differences(straight / MODEL, cut / MODEL, "model") == []
    first, second = straight / checkpoint.NAME, cut / checkpoint.NAME
    assert differences(first, second, "state", "average") == []


def differences(first: Path, second: Path, *keys: str) -> list[str]:
    """Names of the tensors that differ between two files, below these keys."""
    one, other = (
        reduce(getitem, keys, torch.load(path, weights_only=True)) for path in (first, second)
    )
    return [name for name in one if not torch.equal(one[name], other[name])]
