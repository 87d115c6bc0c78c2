"""What the augmentations do together: one resampling, honest edges, mixing, choice, policies."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tests.contracts.strengths import EXAMPLES
from tuner.configs import catalog
from tuner.training.augment import _grain, policy
from tuner.training.batches import augmentation, warp, windows
from tuner.training.batches.augmentation import Augmentation, SampleSource
from tuner.training.ignore import IGNORE

SIZE = (32, 48)
EVERYTHING = dict(EXAMPLES)


def scenes(count: int = 8, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Smooth pictures and labels in blocks of 8×8."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, 256, (count, 3, 4, 6), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, classes, (count, 4, 6), generator=generator, dtype=torch.uint8)
    images = functional.interpolate(blocks.float(), size=SIZE, mode="bilinear")
    return images.byte(), labels.repeat_interleave(8, 1).repeat_interleave(8, 2)


def augment(
    strengths: dict[str, Any], data: tuple[Tensor, Tensor], *, epoch: int = 1, rows: Any = None
) -> tuple[Tensor, Tensor]:
    """All samples, or these, under black where nothing is."""
    images, labels = data
    where = np.arange(len(images)) if rows is None else np.array(rows)
    source = SampleSource(len(images), lambda indices: (images[indices], labels[indices]))
    built = Augmentation(strengths, seed=1, size=SIZE, source=source)
    fill = torch.zeros(3)
    return built(images[where], labels[where], epoch=epoch, indices=where, fill=fill)


def test_everything_together_is_one_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is on, pixels are interpolated once, and labels of a window looked up beside."""
    modes = []
    sample = functional.grid_sample

    def counted(values: Tensor, grid: Tensor, **options: Any) -> Tensor:
        modes.append(options["mode"])
        return sample(values, grid, **options)

    monkeypatch.setattr(functional, "grid_sample", counted)
    still = {name: EVERYTHING[name] for name in EVERYTHING if not name.endswith("mix")}
    augment(still, scenes())
    assert sorted(modes) == ["bilinear", "nearest", "nearest"]


@pytest.mark.parametrize(
    ("name", "strength"),
    [("translate", 0.5), ("shear", 30), ("rotate", 45), ("scale", (0.5, 0.6)), ("crop", (64, 64))],
)
def test_what_lies_outside_is_ignored(name: str, strength: Any) -> None:
    """A place without a source has the label ignore and the colour of the fill, never class 0."""
    images = torch.full((4, 3, *SIZE), 200, dtype=torch.uint8)
    data = images, torch.zeros(4, *SIZE, dtype=torch.uint8)
    pixels, labels = augment({name: strength}, data)
    assert set(labels.unique().tolist()) == {0, IGNORE}
    assert pixels.amax(1)[labels == IGNORE].max() < 101  # half of it, where an edge is cut
    assert pixels.amin(1)[labels == 0].min() > 49  # a quarter of it at least, in a corner


def test_shrinking_does_not_alias() -> None:
    """Half-size pictures are as near to an antialiased resizing as PIL's is to its own."""
    noise = torch.randint(0, 256, (1, 3, *SIZE), generator=torch.Generator().manual_seed(0))
    half = np.array([[[2.0, 0, 0], [0, 2.0, 0], [0, 0, 1]]])
    size = (SIZE[0] // 2, SIZE[1] // 2)
    theta = torch.from_numpy(warp.thetas(half, size, SIZE))
    empty = torch.zeros(1, *SIZE)
    picture = Image.fromarray(noise[0].permute(1, 2, 0).byte().numpy())
    ideal = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR), dtype=np.float32)

    def error(pixels: Tensor) -> float:
        small, _ = warp.resample(pixels, empty, theta, size, fill=torch.zeros(3))
        return float(np.abs(small[0].permute(1, 2, 0).numpy() - ideal)[2:-2, 2:-2].mean())

    smooth = warp.smooth(noise.float(), warp.shrinkage(half))
    assert error(smooth) < 0.35 * error(noise.float())


def test_enlarging_and_turning_are_not_blurred() -> None:
    """Only what shrinks is filtered."""
    pixels = torch.rand(2, 3, 8, 8)
    assert warp.smooth(pixels, np.array([1.0, 0.5])) is pixels


def test_blurring_keeps_the_mean_of_a_flat_picture() -> None:
    """The weights of every sample add up to one, whatever its neighbours' deviations are."""
    flat = torch.full((3, 1, 9, 9), 77.0)
    torch.testing.assert_close(warp.blur(flat, np.array([0.0, 0.7, 4.0])), flat)


@pytest.mark.parametrize("name", ["cutmix", "classmix"])
def test_what_is_mixed_in_is_the_partner_as_it_is(name: str) -> None:
    """Every pixel is the sample's own or another's, and picture and label agree on whose."""
    images = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1).expand(8, 3, *SIZE) * 10
    labels = torch.arange(8, dtype=torch.uint8).view(8, 1, 1).repeat(1, *SIZE)
    labels[:, :8] += 8  # a second class of each sample's own
    pixels, marks = augment({name: 1.0}, (images, labels))
    assert torch.equal((pixels[:, 0] / 10).long(), marks % 8)
    whose = [set((row % 8).unique().tolist()) for row in marks]
    assert all(len(found) <= 2 for found in whose)
    assert sum(len(found) == 2 for found in whose) >= 5


@given(rows=st.lists(st.integers(0, 7), min_size=1, max_size=5, unique=True))
@settings(max_examples=8, deadline=None)
def test_partners_do_not_depend_on_the_batch(rows: list[int]) -> None:
    """A sample meets the same partner, flipped the same way, in any batch."""
    strengths = {"cutmix": 0.7, "classmix": 0.5, "flip": 0.5, "colour": 0.3}
    pixels, labels = augment(strengths, scenes(), epoch=3)
    some_pixels, some_labels = augment(strengths, scenes(), epoch=3, rows=rows)
    torch.testing.assert_close(some_pixels, pixels[rows], rtol=0, atol=1e-3)
    assert torch.equal(some_labels, labels[rows])


def test_a_lone_image_is_not_mixed() -> None:
    """With nobody to mix with, an image stays as it is."""
    images, labels = scenes(1)
    assert torch.equal(augment({"cutmix": 1.0}, (images, labels))[1], labels.long())


def test_classmix_pastes_half_of_the_classes() -> None:
    """Rounded up, and never what is ignored."""
    labels = torch.tensor([[[0, 1, 2, 3]], [[4, 4, 4, IGNORE]]]).repeat(8, 2, 1)
    build = catalog.load("augment", "classmix").build
    mask = build(np.random.default_rng(0).random((16, 3)), labels, strength=1.0)
    assert mask[::2].flatten(1).sum(1).unique().tolist() == [4]  # two of four, two rows each
    assert mask[1::2].flatten(1).sum(1).unique().tolist() == [6]


def test_what_is_cut_out_is_ignored() -> None:
    """The hole has the colour of the fill and no label."""
    images = torch.full((8, 3, *SIZE), 90, dtype=torch.uint8)
    pixels, labels = augment({"cutout": 0.8}, (images, torch.ones(8, *SIZE, dtype=torch.uint8)))
    assert torch.equal(pixels[:, 0] == 0, labels == IGNORE)
    assert 0.02 < (labels == IGNORE).float().mean() < 0.5


def _shares(strengths: dict[str, Any], label: int) -> float:
    """Mean share of a class that has one block of 24."""
    images, _ = scenes(80)
    labels = torch.zeros(80, *SIZE, dtype=torch.uint8)
    labels[:, 8:16, 40:] = 1
    _, marks = augment({"crop": (16, 16), **strengths}, (images, labels))
    return float((marks == label).float().mean())


def test_a_rare_class_is_seen_more_often() -> None:
    """Windows aimed at classes hold more of the small one than random windows do."""
    assert _shares({"rare_crop": 1.0}, 1) > 1.4 * _shares({}, 1)


def test_a_large_class_is_seen_less_often() -> None:
    """A limit on the share of one class brings others into the window."""
    assert _shares({"balanced_crop": 0.75}, 0) < _shares({}, 0)


def test_a_window_without_cost_stays_where_it_was() -> None:
    """The first of several equal windows is taken: the choice changes nothing it need not."""
    thetas = torch.rand(3, windows.CANDIDATES, 2, 3)
    costs = torch.zeros(3, windows.CANDIDATES)
    costs[1, 0] = 0.5
    assert torch.equal(windows.best(thetas, costs), thetas[[0, 1, 2], [0, 1, 0]])


@given(magnitude=st.floats(0.01, 1))
def test_a_policy_takes_two_of_its_set(magnitude: float) -> None:
    """Every sample gets two, and every strength is one that its augmentation takes."""
    parts = policy.build(np.random.default_rng(0).random((20, policy.DRAWS)), strength=magnitude)
    assert len(parts) == policy.DRAWS
    assert (np.stack([chosen for _, chosen in parts.values()]).sum(axis=0) == 2).all()
    for name, (strength, _) in parts.items():
        assert catalog.find("augment", name).options["strength"].check(strength)[1] is None


def test_a_policy_leaves_others_alone() -> None:
    """What is not chosen for a sample changes no number of it."""
    images, labels = scenes()
    source = SampleSource(8, lambda indices: (images[indices], labels[indices]))
    built = Augmentation({"policy": 1.0}, seed=1, size=SIZE, source=source)
    where = np.arange(8)
    noisy = next(step for step in built.planned(1, where).steps if step.key == "policy.noise")
    assert noisy.chosen is not None
    assert 0 < noisy.chosen.sum() < 8


def test_grey_turns_as_red_green_and_blue_do() -> None:
    """A picture of one channel gets the luma of what grey RGB would become."""
    grey = torch.rand(4, 1, 5, 5) * 255
    draws = np.random.default_rng(0).random((4, 3))
    maps, _ = catalog.load("augment", "colour").build(draws, SIZE, strength=0.2)
    whole = augmentation.recolour(grey.expand(-1, 3, -1, -1), maps)
    torch.testing.assert_close(augmentation.recolour(grey, maps), whole[:, :1], rtol=0, atol=1e-3)


def test_infrared_keeps_its_values() -> None:
    """Colours are a matter of the first three channels."""
    maps = np.tile(np.diag([0.5, 0.5, 0.5, 1.0]), (2, 1, 1))
    pixels = torch.rand(2, 5, 4, 4) * 255
    changed = augmentation.recolour(pixels, maps)
    assert torch.equal(changed[:, 3:], pixels[:, 3:])
    torch.testing.assert_close(changed[:, :3], pixels[:, :3] / 2)


def test_hue_keeps_grey_grey() -> None:
    """Turning the colour circle moves nothing on its axis."""
    maps, _ = catalog.load("augment", "hue").build(np.array([[0.1], [0.9]]), SIZE, strength=0.5)
    grey = torch.full((2, 3, 2, 2), 128.0)
    torch.testing.assert_close(augmentation.recolour(grey, maps), grey, rtol=0, atol=0.5)


def test_the_grain_is_pinned() -> None:
    """The stream must never change, or resumed runs would not continue as they began."""
    found = _grain.bits(np.array([0.25, 0.5]), 2, torch.device("cpu"))
    assert found[0].tolist() == [2705414736, 765553080]


def test_the_grain_is_normal() -> None:
    """Mean, variance and neighbour correlation of 100,000 numbers are those of a normal law."""
    numbers = _grain.normals(np.array([0.3]), 100_000, torch.device("cpu"))[0].numpy()
    assert abs(numbers.mean()) < 0.01
    assert abs(numbers.var() - 1) < 0.02
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.01
    assert abs((np.abs(numbers) < 1).mean() - 0.683) < 0.02
