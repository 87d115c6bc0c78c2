"""COCO in miniature: rules for overlaps and crowds, panoptic and stuff PNGs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.samples import SIZE
from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.data import load as data
from tuner.training.data.load import Data
from tuner.training.ignore import IGNORE

HIGH, WIDE = 20, 30
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}, {"id": 90, "name": "cup"}]


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    """A rectangle as a polygon that covers whole pixels."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(left: int, right: int) -> dict[str, Any]:
    """Columns of the image as run lengths."""
    counts = [left * HIGH, (right - left) * HIGH, (WIDE - right) * HIGH]
    return {"counts": counts, "size": [HIGH, WIDE]}


def write(base: Path, annotations: list[dict[str, Any]], kind: str = "instances") -> None:
    """One image in each split with these annotations."""
    for split in ("train", "val"):
        image = base / f"{split}2017/000000000001.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDE, HIGH)).save(image)
        document = {
            "images": [{"id": 1, "file_name": image.name, "height": HIGH, "width": WIDE}],
            "categories": CATEGORIES,
            "annotations": [{"image_id": 1, **each} for each in annotations],
        }
        path = base / f"annotations/{kind}_{split}2017.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))


def load(tmp_path: Path, **options: Any) -> Data:
    """Open the data set of `write`."""
    settings = {"format": "coco", "root": ".", "size": SIZE}
    classes = {"classes": ["background", "dog", "person"]}
    config = DatasetConfig.model_validate({**settings, **classes, **options})
    return data.load(config, cache=tmp_path / "cache", roots=(tmp_path,))


def label(tmp_path: Path, **options: Any) -> np.ndarray:
    """The label of the validation image."""
    return load(tmp_path, **options).val.label(0)


PEOPLE = [
    {"category_id": 1, "segmentation": box(0, 0, 20, 10), "area": 200},
    {"category_id": 1, "segmentation": box(0, 0, 4, 4), "area": 16},
    {"category_id": 18, "segmentation": box(10, 5, 14, 15), "area": 40},
    {"category_id": 90, "segmentation": box(25, 15, 30, 20), "area": 25},
]


@pytest.mark.parametrize("overlap", ["ignore", "conflict", "smaller"])
def test_overlaps_follow_the_rule(tmp_path: Path, overlap: str) -> None:
    """Under several instances: ignored, ignored where classes differ, or the smaller one's."""
    write(tmp_path, PEOPLE)
    expected = np.zeros((HIGH, WIDE), dtype=int)
    expected[:10, :20] = 2
    expected[5:15, 10:14] = 1
    if overlap != "smaller":
        expected[5:10, 10:14] = IGNORE
    if overlap == "ignore":
        expected[:4, :4] = IGNORE
    assert np.array_equal(label(tmp_path, overlap=overlap), expected)


def test_without_a_background_class_the_rest_is_ignored(tmp_path: Path) -> None:
    """What is of no category teaches nothing."""
    write(tmp_path, PEOPLE[:1])
    found = label(tmp_path, classes=["person", "dog"])
    assert (found[:10, :20] == 0).all()
    assert (found == IGNORE).sum() == HIGH * WIDE - 200


@pytest.mark.parametrize(("crowd", "value"), [("ignore", IGNORE), ("label", 2)])
def test_crowds_are_ignored_or_drawn(tmp_path: Path, crowd: str, value: int) -> None:
    """A crowd's run lengths count where no single instance lies."""
    people = {"category_id": 1, "segmentation": runs(5, 25), "iscrowd": 1, "area": 400}
    write(tmp_path, [people, PEOPLE[2]])
    found = label(tmp_path, crowd=crowd, overlap="smaller")
    assert (found[5:15, 10:14] == 1).all()
    assert (found[:5, 5:25] == value).all()
    assert (found[:, :5] == 0).all()


def test_small_training_images_are_left_out(tmp_path: Path) -> None:
    """The area counts the chosen categories, and validation keeps every image."""
    write(tmp_path, PEOPLE)
    assert len(load(tmp_path, min_area=256).val) == 1
    with pytest.raises(DataError, match=r"no image of .* has 257 pixels of a category"):
        load(tmp_path, min_area=257)


def test_an_unknown_category_gets_a_suggestion(tmp_path: Path) -> None:
    """A class that the file does not have is named with the nearest that it has."""
    write(tmp_path, PEOPLE)
    with pytest.raises(DataError, match=r"no category 'persn'; did you mean 'person'"):
        load(tmp_path, classes=["background", "persn"])


def test_categories_are_merged_by_remap(tmp_path: Path) -> None:
    """`categories` gives the labels that `remap` merges into classes."""
    write(tmp_path, PEOPLE)
    found = label(
        tmp_path,
        classes=["animal", "thing"],
        categories=["person", "dog", "cup"],
        remap={0: 0, 1: 0, 2: 1},
        ignore_index=2,
        overlap="smaller",
    )
    assert (found[:10, :20] == 0).all()
    assert (found[15:, 25:] == 1).all()
    assert (found[15:, :25] == IGNORE).all()


def test_panoptic_segments_become_labels(tmp_path: Path) -> None:
    """Colours are ids in base 256; crowds and id 0 are ignored, other categories background."""
    ids = np.zeros((HIGH, WIDE), dtype=np.int64)
    ids[:, 5:10], ids[:, 10:15], ids[:, 15:20], ids[:, 20:] = 7, 300, 70_000, 9
    segments = [
        {"id": 7, "category_id": 18, "iscrowd": 0},
        {"id": 300, "category_id": 1, "iscrowd": 0},
        {"id": 70_000, "category_id": 1, "iscrowd": 1},
        {"id": 9, "category_id": 90, "iscrowd": 0},
    ]
    write(tmp_path, [{"segments_info": segments}], "panoptic")
    pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
    for split in ("train", "val"):
        (tmp_path / f"annotations/panoptic_{split}2017").mkdir()
        Image.fromarray(pixels).save(
            tmp_path / f"annotations/panoptic_{split}2017/000000000001.png"
        )
    found = label(tmp_path, kind="panoptic")
    assert found[0, ::5].tolist() == [IGNORE, 1, 2, IGNORE, 0, 0]


def test_panoptic_jpegs_are_refused(tmp_path: Path) -> None:
    """Compression with loss makes other ids, whatever the file is called."""
    write(tmp_path, [{"segments_info": []}], "panoptic")
    for split in ("train", "val"):
        (tmp_path / f"annotations/panoptic_{split}2017").mkdir()
        Image.new("RGB", (WIDE, HIGH)).save(
            tmp_path / f"annotations/panoptic_{split}2017/000000000001.png", "JPEG"
        )
    with pytest.raises(DataError, match="is compressed as JPEG"):
        label(tmp_path, kind="panoptic")


@pytest.mark.parametrize(("shift", "unlabelled"), [(0, 0), (1, 255)])
def test_stuff_pixels_are_category_ids(tmp_path: Path, shift: int, unlabelled: int) -> None:
    """Pixel maps hold ids, `stuffthingmaps` ids less one; the unlabelled are ignored."""
    write(tmp_path, [], "stuff")
    mask = np.full((HIGH, WIDE), unlabelled, dtype=np.uint8)
    mask[:5], mask[5:10], mask[10:15] = 18 - shift, 1 - shift, 90 - shift
    for split in ("train", "val"):
        (tmp_path / f"stuff_{split}2017_pixelmaps").mkdir()
        Image.fromarray(mask).save(tmp_path / f"stuff_{split}2017_pixelmaps/000000000001.png")
    found = label(tmp_path, kind="stuff", shift=shift)
    assert found[::5, 0].tolist() == [1, 2, 0, IGNORE]


def test_a_broken_annotation_file_is_refused(tmp_path: Path) -> None:
    """A cut-off download is said to be one."""
    write(tmp_path, PEOPLE)
    path = tmp_path / "annotations/instances_train2017.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=r"instances_train2017.json: is not a COCO annotation file"):
        load(tmp_path)
