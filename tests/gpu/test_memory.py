"""A batch that does not fit a GPU is halved, and the memory is given back."""

import gc
from pathlib import Path

import pytest
import torch

from tests.gpu.runs import Run, config
from tests.training import samples
from tuner.configs.resolve import complete
from tuner.errors import OutOfMemory
from tuner.spec.config import TrialConfig
from tuner.spec.messages import OutcomeKind
from tuner.training import memory
from tuner.training.data.load import Data, load
from tuner.training.determinism import DeviceContext

MIB = 2**20


def wide(**training: object) -> TrialConfig:
    """A batch of 16 images that are large enough to fill a share of a GPU."""
    chosen = config({"training.batch_size": 16, "training.epochs": 1, **training})
    dataset = samples.synthetic(size=(384, 512), train=16, val=2)
    return complete(chosen.model_copy(update={"dataset": dataset}))


@pytest.fixture
def large(tmp_path: Path) -> Data:
    """The images of `wide()`."""
    return load(wide().dataset, cache=tmp_path / "large")


def leave(mib: int) -> None:
    """Let this process have no more than that on top of what it holds."""
    total = torch.cuda.get_device_properties(0).total_memory
    share = (torch.cuda.memory_reserved() + mib * MIB) / total
    torch.cuda.set_per_process_memory_fraction(min(share, 1.0))


@pytest.mark.parametrize("determinism", ["exact", "fast"])
def test_a_batch_that_does_not_fit_is_trained_in_parts(
    device: str, large: Data, tmp_path: Path, determinism: str
) -> None:
    """The trial completes; its provenance names the micro-batch that memory allowed."""
    leave(1_200)
    run = Run(large, tmp_path / "run", device, wide(**{"training.determinism": determinism}))

    assert OutcomeKind.COMPLETED is run.outcome.kind
    assert 1 <= run.outcome.provenance["micro_batch"] < 16


def test_what_was_found_is_remembered(device: str, large: Data, tmp_path: Path) -> None:
    """The next trial of that network, size and device begins with what fitted."""
    leave(1_200)
    chosen, cache = wide(), tmp_path / "cache"
    first = Run(large, tmp_path / "a", device, chosen, cache=cache)
    second = Run(large, tmp_path / "b", device, chosen, cache=cache)

    found = memory.recall(chosen, DeviceContext(device=device, cache=cache))
    assert found == first.outcome.provenance["micro_batch"]
    assert found == second.outcome.provenance["micro_batch"]


def test_memory_is_free_after_a_trial_that_ran_out(
    device: str, large: Data, tmp_path: Path
) -> None:
    """Not even one image fits: the trial says so, and leaves nothing behind."""
    gc.collect()
    before = torch.cuda.memory_allocated()
    leave(90)
    with pytest.raises(OutOfMemory, match="cuda:0"):
        Run(large, tmp_path / "run", device, wide())
    gc.collect()

    assert torch.cuda.memory_allocated() <= before + MIB
