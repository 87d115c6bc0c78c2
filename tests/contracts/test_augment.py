"""Every augmentation is off by default and draws by position alone."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.contracts.strengths import BESIDE, EXAMPLES
from tuner.configs import catalog
from tuner.training.batches.augmentation import Augmentation, SampleSource
from tuner.training.ignore import IGNORE

SIZE = (32, 48)


def augmentation(name: str, strength: Any, *, seed: int = 3) -> Augmentation:
    """This augmentation alone, or beside those without which it has nothing to act on."""
    strengths = {**beside(name), name: strength}
    source = SampleSource(8, of_eight)
    return Augmentation(strengths, seed=seed, size=SIZE, source=source)


def beside(augment: str) -> dict[str, Any]:
    """The augmentations that this one needs."""
    return dict(BESIDE.get(augment, {}))


def example(augment: str) -> Any:
    """A strength at which it does something."""
    assert augment in EXAMPLES, f"add an example of {augment} to tests/contracts/strengths.py"
    return EXAMPLES[augment]


def samples(count: int) -> tuple[Tensor, Tensor]:
    """Random images and labels of uint8, a few labels ignored."""
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, 3, *SIZE), generator=generator, dtype=torch.uint8)
    # Blocks, because windows of evenly mixed labels are all alike.
    blocks = torch.randint(0, 4, (count, 3, 4), generator=generator, dtype=torch.uint8)
    rows, columns = (torch.arange(n) * k // n for n, k in zip(SIZE, (3, 4), strict=True))
    labels = blocks[:, rows][:, :, columns]
    return images, labels.masked_fill(labels == 3, IGNORE)


def of_eight(indices: Any) -> tuple[Tensor, Tensor]:
    """The samples of these indices out of eight."""
    images, labels = samples(8)
    return images[indices], labels[indices]


def apply(built: Augmentation, indices: list[int], *, epoch: int = 1) -> tuple[Tensor, Tensor]:
    """Augment the samples of these indices out of eight."""
    fill = torch.full((3,), 100.0)
    where = np.array(indices, dtype=np.int64)
    return built(*of_eight(where), epoch=epoch, indices=where, fill=fill)


def test_default_is_off(augment: str) -> None:
    """A config that does not name it leaves images and labels alone."""
    default = catalog.find("augment", augment).options["strength"].default
    source = SampleSource(8, of_eight)
    alone = Augmentation({augment: default}, seed=3, size=SIZE, source=source)
    pixels, labels = apply(alone, [0, 1])
    assert torch.equal(pixels, samples(8)[0][:2].float())
    assert torch.equal(labels, samples(8)[1][:2].long())


def test_example_does_something(augment: str) -> None:
    """The example strength is allowed and changes what the network sees."""
    option = catalog.find("augment", augment).options["strength"]
    assert option.check(example(augment))[1] is None
    pixels, _ = apply(augmentation(augment, example(augment)), list(range(8)))
    without, _ = apply(augmentation(augment, option.default), list(range(8)))
    assert pixels.shape != without.shape or not torch.equal(pixels, without)


@given(order=st.permutations(range(8)), cut=st.integers(1, 7))
@settings(max_examples=8, deadline=None)
def test_a_sample_looks_the_same_in_any_batch(augment: str, order: list[int], cut: int) -> None:
    """Order and size of the batch have no say in how a sample is augmented."""
    built = augmentation(augment, example(augment))
    pixels, labels = apply(built, list(range(8)))
    for part in (order[:cut], order[cut:]):
        some_pixels, some_labels = apply(built, part)
        torch.testing.assert_close(some_pixels, pixels[part], rtol=0, atol=1e-3)
        assert torch.equal(some_labels, labels[part])


def test_epochs_and_seeds_differ(augment: str) -> None:
    """A sample looks different in the next epoch, and under another seed."""
    built = augmentation(augment, example(augment))
    other = augmentation(augment, example(augment), seed=4)
    first, _ = apply(built, list(range(8)), epoch=1)
    assert not torch.equal(first, apply(built, list(range(8)), epoch=2)[0])
    assert not torch.equal(first, apply(other, list(range(8)), epoch=1)[0])


def test_labels_stay_labels(augment: str) -> None:
    """No label is invented: only classes that were there, and ignore."""
    _, labels = apply(augmentation(augment, example(augment)), list(range(8)))
    assert set(labels.unique().tolist()) <= {0, 1, 2, IGNORE}


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_than_three_are_taken(augment: str, channels: int) -> None:
    """Grey pictures and those with infrared are augmented too, and keep their channels."""
    images, labels = samples(8)
    images = images[:, :1].repeat(1, channels, 1, 1)
    where = np.arange(8)
    strengths = {**beside(augment), augment: example(augment)}
    source = SampleSource(8, lambda indices: (images[indices], labels[indices]))
    built = Augmentation(strengths, seed=3, size=SIZE, source=source)
    pixels, marks = built(images, labels, epoch=1, indices=where, fill=torch.zeros(channels))
    assert pixels.shape == (8, channels, *marks.shape[1:])
    assert pixels.isfinite().all()


def test_pixels_stay_in_range(augment: str) -> None:
    """Colours stay between 0 and 255."""
    pixels, _ = apply(augmentation(augment, example(augment)), list(range(8)))
    assert pixels.min() >= -1e-3
    assert pixels.max() <= 255 + 1e-3
