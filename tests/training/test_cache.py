"""The cache decodes once, keeps label resolution for scores, and heals itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training import samples
from tuner.errors import DataError
from tuner.training.data import load as data
from tuner.training.data import pairs
from tuner.training.data.load import Data
from tuner.training.ignore import IGNORE


def load(tmp_path: Path) -> Data:
    """Open the folder data set of `write_folder`."""
    return data.load(samples.folder(), cache=tmp_path / "cache", roots=(tmp_path,))


def test_the_second_opening_decodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once decoded, no image file is opened again."""
    samples.write_folder(tmp_path)
    first = load(tmp_path)

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pairs, "read_image", refuse)
    second = load(tmp_path)
    assert np.array_equal(first.train.images, second.train.images)
    assert first.fingerprint == second.fingerprint


def test_a_changed_file_is_decoded_again(tmp_path: Path) -> None:
    """A new mask gives a new fingerprint, not the old pixels."""
    base = samples.write_folder(tmp_path)
    before = load(tmp_path)
    samples.write_pair(base, "train", "000", np.full((40, 60), 2))
    after = load(tmp_path)
    assert before.fingerprint != after.fingerprint
    assert (after.train.stacked_labels[0] == 2).all()


def test_the_fingerprint_is_of_pixels_not_of_files(tmp_path: Path) -> None:
    """A copy at another time and place is the same data."""
    for place in ("one", "two"):
        samples.write_folder(tmp_path / place)
    prints = {load(tmp_path / place).fingerprint for place in ("one", "two")}
    assert len(prints) == 1


def test_training_labels_are_resized_and_validation_labels_are_not(tmp_path: Path) -> None:
    """Scores are at label resolution; training is at network size."""
    samples.write_folder(tmp_path)
    loaded = load(tmp_path)
    assert loaded.train.images.shape == (3, *samples.SIZE, 3)
    assert loaded.train.stacked_labels.shape == (3, *samples.SIZE)
    assert loaded.val.images.shape == (2, *samples.SIZE, 3)
    assert loaded.val.label(1).shape == (40, 60)
    with Image.open(tmp_path / "set" / "labels" / "val" / "001.png") as mask:
        assert np.array_equal(loaded.val.label(1), np.asarray(mask))


def test_validation_labels_may_differ_in_size(tmp_path: Path) -> None:
    """Each label comes back in its own shape."""
    base = samples.write_folder(tmp_path)
    odd = np.random.default_rng(1).integers(0, 3, (21, 33))
    samples.write_pair(base, "val", "0005", odd)
    loaded = load(tmp_path)
    position = loaded.val.names.index("0005")
    assert np.array_equal(loaded.val.label(position), odd)
    assert loaded.val.label(0).shape == (40, 60)


@pytest.mark.parametrize("damage", ["truncated", "no meta", "bad meta", "half built"])
def test_a_damaged_store_is_built_again(tmp_path: Path, damage: str) -> None:
    """A cut-off file, a missing index, and the leftovers of a crash are replaced."""
    samples.write_folder(tmp_path)
    whole = np.array(load(tmp_path).train.images)
    for store in (tmp_path / "cache").glob("*[!k]"):
        if damage == "truncated":
            (store / "images.u8").write_bytes(b"short")
        elif damage == "no meta":
            (store / "meta.json").unlink()
        elif damage == "bad meta":
            (store / "meta.json").write_text(json.dumps({"names": []}))
        else:
            store.rename(store.with_name(f"{store.name}.part"))
    assert np.array_equal(load(tmp_path).train.images, whole)


def test_statistics_are_those_of_the_training_pixels(tmp_path: Path) -> None:
    """Shares, mean and deviation equal NumPy's over the stored arrays."""
    samples.write_folder(tmp_path)
    loaded = load(tmp_path)
    pixels = loaded.train.images.reshape(-1, 3).astype(float)
    assert loaded.train.mean == pytest.approx(pixels.mean(axis=0))
    assert loaded.train.std == pytest.approx(pixels.std(axis=0))
    labels = loaded.train.stacked_labels
    assert loaded.shares == pytest.approx([(labels == k).mean() for k in range(3)])


def test_ignore_index_becomes_255(tmp_path: Path) -> None:
    """Whatever number the data set uses, inside it is 255."""
    base = samples.write_folder(tmp_path)
    samples.write_pair(base, "train", "000", np.full((40, 60), 11))
    config = samples.folder(ignore_index=11)
    loaded = data.load(config, cache=tmp_path / "cache", roots=(tmp_path,))
    assert (loaded.train.stacked_labels[0] == IGNORE).all()


def test_a_split_without_any_label_is_refused(tmp_path: Path) -> None:
    """If everything is ignored there is nothing to learn."""
    base = samples.write_folder(tmp_path, train=1)
    samples.write_pair(base, "train", "000", np.full((40, 60), 255))
    with pytest.raises(DataError, match="every pixel of 1 mask is ignore_index 255"):
        load(tmp_path)


def test_too_many_classes_are_refused(tmp_path: Path) -> None:
    """Labels are bytes inside, and 255 is taken."""
    config = samples.synthetic(classes=[f"c{k}" for k in range(256)], ignore_index=300)
    with pytest.raises(DataError, match="256 classes; at most 255"):
        data.load(config, cache=tmp_path)
