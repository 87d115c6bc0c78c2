"""Training images lie on the GPU where they fit, or come ahead through page-locked memory."""

import pytest
import torch

from tests.gpu.runs import CONFIG
from tuner.training.batches import batches
from tuner.training.batches.batches import Batches
from tuner.training.data.load import Data


def test_resident_and_prefetched_batches_are_equal(
    device: str, scenes: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the images lie changes no number of any batch."""
    resident = Batches(scenes.train, CONFIG, device)
    monkeypatch.setattr(batches, "_RESIDENT_SHARE", 0.0)
    prefetched = Batches(scenes.train, CONFIG, device)
    try:
        for epoch, position in ((1, 0), (1, 1), (2, 3), (1, 2)):
            for one, other in zip(
                resident.batch(epoch, position), prefetched.batch(epoch, position), strict=True
            ):
                assert one.device == torch.device(device)
                assert torch.equal(one, other)
    finally:
        resident.close()
        prefetched.close()


def test_resident_images_are_held_on_the_gpu(device: str, scenes: Data) -> None:
    """A data set that takes less than half of what is free is copied there once."""
    before = torch.cuda.memory_allocated()
    held = Batches(scenes.train, CONFIG, device)
    taken = torch.cuda.memory_allocated() - before
    held.close()

    assert scenes.train.images.nbytes + scenes.train.stacked_labels.nbytes <= taken


def test_a_gpu_sees_what_a_cpu_sees(device: str, scenes: Data) -> None:
    """Augmentation draws the same numbers on both; pixels differ by rounding only."""
    there, here = (Batches(scenes.train, CONFIG, place) for place in (device, "cpu"))
    images, labels = there.batch(1, 0)
    other_images, other_labels = here.batch(1, 0)
    for each in (there, here):
        each.close()

    assert torch.allclose(images.cpu(), other_images, atol=0.5)
    assert (labels.cpu() == other_labels).float().mean() > 0.999
