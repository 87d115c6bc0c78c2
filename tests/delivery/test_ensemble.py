"""An ensemble gives the mean of its members' probabilities, and opens from its file."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tuner.delivery import candidates
from tuner.delivery.ensemble import (
    check_alike,
    is_ensemble,
    joined,
    open_ensemble,
    read_ensemble,
)
from tuner.delivery.selection import confusion_of
from tuner.errors import DataUnavailable, Diverged, InvalidInput, TrainingError
from tuner.spec.config import DatasetConfig
from tuner.training.data.cache import DecodedSplit

CLASSES = ("sky", "road", "car")


@dataclass(frozen=True, eq=False)
class Fixed:
    """A predictor that gives the same logits K×h×w for every image."""

    given: Tensor
    name: str = "fixed"
    classes: tuple[str, ...] = CLASSES
    channels: int = 3
    size: tuple[int, int] = (4, 6)
    align_corners: bool = False
    dataset: DatasetConfig | None = None

    def logits(self, images: Tensor) -> Tensor:
        """The logits, once for each image."""
        return self.given.expand(len(images), *self.given.shape)


def fixed(seed: int, *, height: int = 2, width: int = 3, name: str = "fixed") -> Fixed:
    """A predictor with random logits."""
    numbers = torch.Generator().manual_seed(seed)
    return Fixed(torch.randn(3, height, width, generator=numbers) * 3, name)


def split_of(labels: np.ndarray) -> DecodedSplit:
    """A decoded split of grey images with these labels, N×H×W."""
    count, height, width = labels.shape
    pixels = np.bincount(labels[labels != 255].reshape(-1), minlength=3)
    return DecodedSplit(
        images=np.full((count, 4, 6, 3), 127, dtype=np.uint8),
        flat_labels=labels.astype(np.uint8).reshape(-1),
        shapes=((height, width),) * count,
        names=tuple(map(str, range(count))),
        fingerprint="",
        class_pixels=tuple(pixels.tolist()),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    )


def test_its_softmax_is_the_weighted_mean_of_its_members() -> None:
    """Against numpy, at two strides, with weights that do not add up to 1."""
    first, second = fixed(1, height=4, width=6), fixed(2, height=4, width=6)

    found = joined([first, second], [3, 1]).logits(torch.zeros(2, 3, 4, 6)).softmax(dim=1).numpy()

    def softmax(model: Fixed) -> np.ndarray:
        raised = np.exp(model.given.double().numpy())
        shares: np.ndarray = raised / raised.sum(axis=0)
        return shares

    expected = 0.75 * softmax(first) + 0.25 * softmax(second)
    assert np.abs(found - expected[None]).max() < 1e-6


def test_members_of_other_strides_are_averaged_at_the_size_of_the_image() -> None:
    """Logits are resized before they become probabilities, as each model does by itself."""
    coarse, fine = fixed(1), fixed(2, height=4, width=6)
    images = torch.zeros(1, 3, 4, 6)

    found = joined([coarse, fine], [1, 1]).logits(images)

    resized = torch.nn.functional.interpolate(coarse.logits(images), (4, 6), mode="bilinear")
    expected = (resized.softmax(1) + fine.logits(images).softmax(1)) / 2
    assert found.shape == (1, 3, 4, 6)
    assert torch.allclose(found.exp(), expected, atol=1e-6)


def test_members_of_other_sizes_get_the_image_at_the_size_of_the_first() -> None:
    """The ensemble is for the first member's size, and gives what it is given."""
    small, large = fixed(1), replace(fixed(2), size=(8, 12))
    found = joined([large, small], [3, 1])
    assert found.size == (8, 12)
    assert found.logits(torch.zeros(1, 3, *found.size)).shape == (1, 3, 8, 12)


def test_a_certain_member_leaves_finite_logits() -> None:
    """Probability 0 has no logarithm, and is as small as a float can be."""
    sure = Fixed(torch.tensor([1e4, 0.0, 0.0]).view(3, 1, 1).expand(3, 4, 6))
    found = joined([sure], [1]).logits(torch.zeros(1, 3, 4, 6))
    assert bool(torch.isfinite(found).all())
    assert bool((found.argmax(1) == 0).all())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Fixed(torch.zeros(2, 2, 3), "b", ("sky", "road")), "b has 2 classes, fixed has 3"),
        (
            Fixed(torch.zeros(3, 2, 3), "b", ("sky", "street", "car")),
            "b calls class 1 'street', fixed calls it 'road'",
        ),
        (Fixed(torch.zeros(3, 2, 3), "b", channels=4), "b takes images of 4 channels"),
    ],
)
def test_models_that_do_not_fit_together_are_refused(other: Fixed, said: str) -> None:
    """Another number of classes, another name and another number of channels are each named."""
    with pytest.raises(TrainingError, match=said):
        check_alike(fixed(1), other)
    with pytest.raises(TrainingError, match=said):
        joined([fixed(1), other], [1, 1])


def test_no_members_are_no_ensemble() -> None:
    """An empty list is refused."""
    with pytest.raises(TrainingError, match="no members"):
        joined([], [])


LABELS = np.random.default_rng(0).choice([0, 1, 2, 255], (3, 8, 12), p=[0.5, 0.4, 0.05, 0.05])


@pytest.mark.parametrize("shape", [(4, 6), (8, 12)])
def test_what_fits_is_kept_whole(shape: tuple[int, int]) -> None:
    """With all pixels every row is its class, and at the images' size all counts are exact."""
    labels = LABELS[:, : shape[0], : shape[1]]
    split, model = split_of(labels), fixed(1, height=4, width=6)

    found = candidates.gather([lambda: model], split)

    assert len(found.labels) == (labels != 255).sum()
    counts = confusion_of(found.probabilities[0].astype(np.float32), found)
    assert np.array(counts).sum(axis=1).tolist() == list(split.class_pixels)
    exact = candidates.score(joined([model], [1]), split)
    assert shape == (8, 12) or tuple(map(tuple, counts)) == exact


def test_the_score_is_that_of_a_pixel_by_pixel_count() -> None:
    """Against counting by hand, at label resolution, without ignored pixels."""
    split, model = split_of(LABELS), fixed(1, height=8, width=12)
    predicted = model.given.argmax(dim=0).numpy()
    counts = np.zeros((3, 3), dtype=int)
    for labels in LABELS:
        for label, seen in zip(labels.reshape(-1), predicted.reshape(-1), strict=True):
            if label != 255:
                counts[label, seen] += 1
    assert candidates.score(model, split) == tuple(map(tuple, counts.tolist()))


def test_a_bound_of_memory_keeps_rare_classes_whole() -> None:
    """The largest classes share what the others leave, and rows stay as large as the classes."""
    labels = np.zeros((4, 100, 100), dtype=np.uint8)
    labels[:, :50] = 1
    labels[0, 0, :30] = 2
    split = split_of(labels)

    found = candidates.gather([lambda: fixed(1)] * 2, split, memory=2 * 3 * 2 * 4000)

    kept = np.bincount(found.labels, minlength=3)
    assert kept[2] == 30
    assert abs(kept.sum() - 4000) < 200
    assert found.probabilities.nbytes < 2 * 3 * 2 * 4200
    rows = np.array(confusion_of(found.probabilities[0].astype(np.float32), found)).sum(axis=1)
    assert np.allclose(rows, split.class_pixels, rtol=0.1)


def test_rates_fill_the_budget() -> None:
    """A class that needs less than its part leaves the rest to the others."""
    found = candidates.rates([10, 1000, 0, 10_000], 510)
    assert found.tolist() == [1.0, 0.25, 1.0, 0.025]
    assert candidates.rates([1, 2], 3).tolist() == [1, 1]


def test_the_same_pixels_are_chosen_every_time() -> None:
    """Nothing of it depends on chance."""
    split = split_of(LABELS)
    first, second = (
        candidates.gather([lambda: fixed(1)], split, memory=3 * 2 * 50) for _ in range(2)
    )
    assert np.array_equal(first.probabilities, second.probabilities)


def test_an_output_that_is_not_finite_is_refused_by_name() -> None:
    """A network that has diverged is not averaged."""
    broken = Fixed(torch.full((3, 4, 6), float("nan")), "trial 3 of s")
    with pytest.raises(Diverged, match="trial 3 of s"):
        candidates.gather([lambda: broken], split_of(LABELS))
    with pytest.raises(Diverged, match="trial 3 of s"):
        candidates.score(broken, split_of(LABELS))


MEMBER = {"trial": 1, "weight": 1.0, "sha256": "ab" * 32}


def document(**changes: object) -> dict[str, object]:
    """The text of an ensemble of two members, whose files are not there."""
    return {
        "kind": "ensemble",
        "study": "streets",
        "dataset": {"format": "synthetic", "classes": list(CLASSES), "size": [32, 48]},
        "metric": {"metric": "miou"},
        "value": 0.6,
        "single_best": {"trial": 1, "value": 0.5},
        "considered": 4,
        "images": 2,
        "members": [
            {"trial": 1, "weight": 0.75, "sha256": "ab" * 32, "path": "members/1.pt"},
            {"trial": 2, "weight": 0.25, "sha256": "cd" * 32, "path": "members/2.pt"},
        ],
        **changes,
    }


def test_an_ensemble_is_known_by_its_content(tmp_path: Path) -> None:
    """Neither a result nor a model is taken for one."""
    for name, content in (
        ("e.json", json.dumps(document()).encode()),
        ("b.json", b'{"study": "s"}'),
        ("m.pt", b"PK\x03\x04"),
        ("cut.json", b'{"kind": "ensemble"'),
    ):
        (tmp_path / name).write_bytes(content)
        assert is_ensemble(tmp_path / name) == (name == "e.json")


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    """The trial, the file that was expected and the remedy."""
    path = tmp_path / "ensemble.json"
    path.write_text(json.dumps(document()))
    with pytest.raises(DataUnavailable, match=r"model of trial 1 is not there.*members/1\.pt"):
        open_ensemble(path)


def test_another_file_in_a_member_s_place_is_refused(tmp_path: Path) -> None:
    """A member's digest is that of the model which was selected."""
    path = tmp_path / "ensemble.json"
    path.write_text(json.dumps(document()))
    (tmp_path / "members").mkdir()
    (tmp_path / "members/1.pt").write_bytes(b"another")
    with pytest.raises(TrainingError, match="not the model of trial 1"):
        open_ensemble(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"members": []}, "members"),
        ({"members": [{"trial": 1, "weight": 0.5, "sha256": "ab" * 32}]}, "add up to 0.5"),
        ({"members": [MEMBER | {"sha256": "../../escaped"}]}, "sha256"),
        ({"members": [MEMBER | {"sha256": "AB" * 32}]}, "sha256"),
        ({"members": [MEMBER | {"sha256": "ab" * 32 + "\n"}]}, "sha256"),
        ({"members": [MEMBER | {"path": "../model.pt"}]}, "out of the folder"),
        ({"members": [MEMBER | {"path": "a/../../model.pt"}]}, "out of the folder"),
        ({"members": [MEMBER | {"path": "/etc/passwd"}]}, "out of the folder"),
        ({"members": [MEMBER | {"path": "..\\model.pt"}]}, "out of the folder"),
        ({"members": [MEMBER | {"path": "C:model.pt"}]}, "out of the folder"),
        ({"spec_version": 99}, "99"),
        ({"dataset": {"classes": 3}}, "classes"),
    ],
)
def test_a_file_that_is_not_an_ensemble_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    """Each mistake is named with its place."""
    path = tmp_path / "ensemble.json"
    path.write_text(json.dumps(document(**changes)))
    with pytest.raises(InvalidInput, match=said):
        read_ensemble(path)


def test_a_truncated_or_missing_file_is_refused(tmp_path: Path) -> None:
    """Half a document is not one."""
    path = tmp_path / "ensemble.json"
    with pytest.raises(DataUnavailable, match="no ensemble file"):
        read_ensemble(path)
    path.write_text(json.dumps(document())[:50])
    with pytest.raises(InvalidInput, match="not JSON"):
        read_ensemble(path)
