"""Parts of a data set that scores are made on: training's own, and the one for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.samples import CLASSES, SIZE, folder, synthetic, write_pair
from tuner.configs import catalog
from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training.data import parts
from tuner.training.data.load import load
from tuner.training.data.parts import Part, open_part


def opened(tmp_path: Path, part: str, **options: Any) -> Part:
    """A part of the folder set below `tmp_path`."""
    return open_part(folder(**options), part, cache=tmp_path / "cache", roots=(tmp_path,))


def write(tmp_path: Path, **counts: int) -> None:
    """So many pairs in each folder; each mask holds one class, by its place."""
    for split, count in counts.items():
        for index in range(count):
            write_pair(tmp_path / "set", split, f"{split}{index}", np.full((40, 60), index % 3))


def test_training_and_validation_are_those_of_training(tmp_path: Path) -> None:
    """Folds and subsets hold, and labels keep their own size in every part."""
    write(tmp_path, train=6, val=3)
    options: dict[str, Any] = {"fold": [1, 3], "subset": 0.5}
    dataset = folder(**options)
    loaded = load(dataset, cache=tmp_path / "cache", roots=(tmp_path,))
    train, val = (opened(tmp_path, part, **options) for part in ("train", "val"))
    assert (train.decoded.names, val.decoded.names) == (loaded.train.names, loaded.val.names)
    assert val.decoded.fingerprint == loaded.val.fingerprint
    assert {*train.decoded.shapes, *val.decoded.shapes} == {(40, 60)}
    assert train.decoded.images.shape[1:3] == SIZE


def test_the_test_part_is_the_formats_own_and_remapped(tmp_path: Path) -> None:
    """A fold does not divide it, a subset does not thin it, a remap applies to it."""
    write(tmp_path, train=4, val=2, testing=3)
    found = opened(
        tmp_path, "test", test="testing", fold=[0, 2], subset=0.5, remap={0: 1, 1: 1, 2: 0}
    )
    assert found.decoded.names == ("testing0", "testing1", "testing2")
    assert [int(found.label(index).max()) for index in range(3)] == [1, 1, 0]
    assert found.original(2).shape == (40, 60, 3)


def test_a_missing_test_part_says_what_was_looked_for(tmp_path: Path) -> None:
    """The message names the folder, and offers the validation split."""
    write(tmp_path, train=2, val=1)
    with pytest.raises(DataUnavailable, match=r"no test split.*'images/test'.*--split val"):
        opened(tmp_path, "test")


def test_test_images_without_labels_are_not_a_test_part(tmp_path: Path) -> None:
    """Published benchmarks keep the labels of their test images."""
    write(tmp_path, train=2, val=1, test=1)
    (tmp_path / "set/labels/test/test0.png").unlink()
    with pytest.raises(DataError, match=r"no test split.*'labels/test'.*--split val"):
        opened(tmp_path, "test")


def test_images_that_were_trained_on_are_not_a_test(tmp_path: Path) -> None:
    """A pattern without {split} would test on what was trained on; a few such images are told."""
    write(tmp_path, train=4)
    plain = {"images": "images/train", "masks": "labels/train", "holdout": 0.5}
    with pytest.raises(DataError, match="all 4 test images are training or validation images"):
        opened(tmp_path, "test", **plain)
    write(tmp_path, other=1)
    both = {"images": "images/**/{split}*", "masks": "labels/**/{split}*", "holdout": 0.5}
    assert opened(tmp_path, "test", **{**both, "test": "other"}).notes == ()
    (note,) = opened(tmp_path, "test", **{**both, "test": "?????"}).notes
    assert note.startswith("4 of 5 test images are training or validation images")


def test_a_machine_that_only_tests_needs_no_training_images(tmp_path: Path) -> None:
    """The test part opens without the others."""
    write(tmp_path, test=2)
    assert len(opened(tmp_path, "test")) == 2


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    """What cannot be read is named with its reason, before anything is scored."""
    write(tmp_path, test=2)
    (tmp_path / "set/images/test/test1.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    with pytest.raises(DataError, match=r"1 of 2 images cannot be used: test1"):
        opened(tmp_path, "test")


def test_synthetic_scenes_of_the_test_are_others(tmp_path: Path) -> None:
    """No split repeats a scene of another."""
    train, val, test = (
        open_part(synthetic(test=3), part, cache=tmp_path).decoded for part in parts.PARTS
    )
    assert len(test) == 3
    seen = {image.tobytes() for split in (train, val) for image in split.images}
    assert not seen & {image.tobytes() for image in test.images}


def test_every_format_has_a_test_part_or_says_so(dataset: str, tmp_path: Path) -> None:
    """Of an empty root each format that reads files says what to do."""
    config = DatasetConfig(format=dataset, classes=CLASSES, size=SIZE, ignore_index=9)
    assert "test" in catalog.find("dataset", dataset).options
    if "root" not in catalog.find("dataset", dataset).options:
        assert len(open_part(config, "test", cache=tmp_path / "cache"))
        return
    with pytest.raises(DataUnavailable, match=r"no test split.*--split val"):
        open_part(config, "test", cache=tmp_path / "cache", roots=(tmp_path,))


@pytest.fixture(params=catalog.names("dataset"))
def dataset(request: pytest.FixtureRequest) -> str:
    """Each format in turn."""
    return str(request.param)
