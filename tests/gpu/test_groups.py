"""DDP over NCCL, as far as one GPU goes: a group of one learns what a process alone does."""

from pathlib import Path

import pytest

from tests.gpu.runs import Run, differing
from tuner.spec.messages import OutcomeKind
from tuner.training.data.load import Data
from tuner.training.process_group import is_bound, joined, meeting_place
from tuner.training.ranks import Rank


def test_a_group_of_one_learns_what_a_process_alone_does(
    device: str, scenes: Data, tmp_path: Path
) -> None:
    """Gradients, sums, words and buffers pass through NCCL and change no bit."""
    alone = Run(scenes, tmp_path / "alone", device)
    with joined(Rank(), device, meeting_place("127.0.0.1", 1)) as group:
        shared = Run(scenes, tmp_path / "shared", device, group=group)
        assert group.gathered("here") == [group.agreed("here")]
    assert not is_bound()
    assert shared.outcome.kind is OutcomeKind.COMPLETED
    assert shared.losses == pytest.approx(alone.losses, rel=1e-6)
    assert differing(alone.weights, shared.weights) == []
