"""Published layouts in miniature: every pixel's label is what the format's definition says."""

import os
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

GREY = (24, 32)
# Read once: the suite runs every test without anybody's settings.
CAMVID = os.environ.get("SEGTUNE_TEST_CAMVID")


def load(tmp_path: Path, classes: int, **options: Any) -> Data:
    """Open a data set of that many classes below `root/set`."""
    settings = {"root": "set", "classes": [f"c{k}" for k in range(classes)], "size": SIZE}
    config = DatasetConfig.model_validate({**settings, **options})
    return data.load(config, cache=tmp_path / "cache", roots=(tmp_path,))


def ramp(values: int = 256) -> np.ndarray:
    """A mask that holds every value from 0, along its rows."""
    return (np.arange(GREY[0] * GREY[1]) % values).reshape(GREY).astype(np.uint8)


def put(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    """Write an image file; mode P makes a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels.astype(np.uint8))
    if mode == "P":
        image = Image.fromarray(pixels.astype(np.uint8), mode="P")
        image.putpalette([number for index in range(256) for number in (index, 255 - index, 7)])
    image.save(path)


def picture() -> np.ndarray:
    """A grey image of the size of the masks."""
    return np.full((*GREY, 3), 90)


def cityscapes(base: Path, kind: str = "labelIds") -> None:
    """One frame of one city in each split."""
    for split, city in (("train", "aachen"), ("val", "lindau")):
        name = f"{split}/{city}/{city}_000000_000019"
        put(base / f"leftImg8bit/{name}_leftImg8bit.png", picture())
        put(base / f"gtFine/{name}_gtFine_{kind}.png", ramp())
        put(base / f"gtFine/{name}_gtFine_instanceIds.png", ramp(2))
        put(base / f"gtFine/{name}_gtFine_color.png", picture())


def test_cityscapes_ids_become_train_ids(tmp_path: Path) -> None:
    """The 19 classes of the benchmark in their order; every other id is ignored."""
    cityscapes(tmp_path / "set")
    loaded = load(tmp_path, 19, format="cityscapes")
    official = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10}
    official |= {24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}
    expected = np.vectorize(lambda label: official.get(label, IGNORE))(ramp())
    assert np.array_equal(loaded.val.label(0), expected)
    assert loaded.val.names == ("lindau/lindau_000000_000019",)


def test_cityscapes_reads_train_ids(tmp_path: Path) -> None:
    """Masks that were converted before are taken as they are."""
    cityscapes(tmp_path / "set", "labelTrainIds")
    loaded = load(tmp_path, 19, format="cityscapes", labels="labelTrainIds")
    assert np.array_equal(loaded.val.label(0), np.where(ramp() < 19, ramp(), IGNORE))


def voc(base: Path, *, train: str, masks: str = "SegmentationClass") -> None:
    """Two listed images, and one that no list names."""
    for index, name in enumerate(("2007_1", "2007_2", "2007_3")):
        put(base / f"JPEGImages/{name}.jpg", picture())
        mask = np.full(GREY, index)
        mask[:, 0] = 255
        put(base / f"{masks}/{name}.png", mask, "P")
    lists = base / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("2007_2\n")
    (lists / "trainaug.txt").write_text(train)


@pytest.mark.parametrize(
    ("masks", "line"),
    [
        ("SegmentationClass", "2007_3\n\n"),
        ("SegmentationClassAug", "/JPEGImages/2007_3.jpg /SegmentationClassAug/2007_3.png"),
    ],
)
def test_voc_reads_its_lists(tmp_path: Path, masks: str, line: str) -> None:
    """Palette indices are labels, the border is ignored, and both kinds of list are read."""
    voc(tmp_path / "set", train=line, masks=masks)
    loaded = load(tmp_path, 21, format="voc", train="trainaug", masks=masks, ignore_index=200)
    assert (loaded.train.names, loaded.val.names) == (("2007_3",), ("2007_2",))
    assert (loaded.val.label(0)[:, 0] == IGNORE).all()
    assert (loaded.val.label(0)[:, 1:] == 1).all()


def test_voc_names_what_its_list_lacks(tmp_path: Path) -> None:
    """A listed image without files is found before anything is decoded."""
    voc(tmp_path / "set", train="2007_1\n2008_7\n")
    with pytest.raises(DataError, match=r"trainaug.txt names files .*2 \(JPEGImages/2008_7.jpg"):
        load(tmp_path, 21, format="voc", train="trainaug")


def test_a_voc_list_cannot_lead_outside(tmp_path: Path) -> None:
    """A list is input too: it names no file beyond the allowed roots."""
    voc(tmp_path / "set", train="../../secret.jpg ../../secret.png")
    put(tmp_path.parent / "secret.jpg", picture())
    put(tmp_path.parent / "secret.png", ramp(2))
    with pytest.raises(DataError, match="outside the allowed roots"):
        load(tmp_path, 21, format="voc", train="trainaug")


def test_ade20k_shifts_labels_and_ignores_other(tmp_path: Path) -> None:
    """0 is "other"; class k is stored as k+1."""
    for split in ("training", "validation"):
        put(tmp_path / f"set/images/{split}/ADE_1.jpg", picture())
        put(tmp_path / f"set/annotations/{split}/ADE_1.png", ramp(151))
    loaded = load(tmp_path, 150, format="ade20k", ignore_index=150)
    expected = np.where(ramp(151) == 0, IGNORE, ramp(151) - 1)
    assert np.array_equal(loaded.val.label(0), expected)


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{}/a.png", "{}annot/a.png"), ("images/{}/a.png", "labels/{}/a.png")],
)
def test_camvid_has_two_layouts(tmp_path: Path, image: str, mask: str) -> None:
    """The tutorial's folders and the plain ones open alike; void is ignored."""
    for split in ("train", "val"):
        put(tmp_path / "set" / image.format(split), picture())
        put(tmp_path / "set" / mask.format(split), ramp(12))
    loaded = load(tmp_path, 11, format="camvid")
    assert np.array_equal(loaded.val.label(0), np.where(ramp(12) == 11, IGNORE, ramp(12)))


@pytest.mark.parametrize("format_", ["cityscapes", "ade20k", "camvid"])
def test_a_lost_mask_is_named(tmp_path: Path, format_: str) -> None:
    """Every format pairs its files before it decodes one."""
    base = tmp_path / "set"
    if format_ == "cityscapes":
        cityscapes(base)
        extra = "leftImg8bit/train/aachen/aachen_000000_000020_leftImg8bit.png"
    else:
        masks = "annotations/training" if format_ == "ade20k" else "labels/train"
        extra = "images/training/b.png" if format_ == "ade20k" else "images/train/b.png"
        put(base / masks / "a.png", ramp(2))
        put(base / extra.replace("b.", "a."), picture())
    put(base / extra, picture())
    with pytest.raises(DataError, match=r"images without mask: 1 \("):
        load(tmp_path, 19, format=format_)


def test_classes_are_merged_by_remap(tmp_path: Path) -> None:
    """Old labels meet new ones, and an ignored pixel never meets a class of the same number."""
    cityscapes(tmp_path / "set")
    remap = {0: 0, 1: 0, 13: 1}
    loaded = load(tmp_path, 2, format="cityscapes", remap=remap, ignore_index=2)
    expected = np.select([np.isin(ramp(), (7, 8)), ramp() == 26], [0, 1], IGNORE)
    assert np.array_equal(loaded.val.label(0), expected)


@pytest.mark.skipif(CAMVID is None, reason="SEGTUNE_TEST_CAMVID names no CamVid folder")
def test_the_real_camvid_has_its_published_shares(tmp_path: Path) -> None:
    """The shares of the training pixels are those of the data set's description."""
    config = DatasetConfig.model_validate(
        {"format": "camvid", "classes": [f"c{k}" for k in range(11)], "size": [360, 480]}
    )
    loaded = data.load(config, cache=tmp_path, roots=(Path(str(CAMVID)),))
    published = (16.9, 23.3, 1.0, 31.7, 4.5, 9.7, 1.2, 1.1, 5.9, 0.64, 0.29)
    void = 1 - sum(loaded.train.class_pixels) / len(loaded.train.flat_labels)
    assert (len(loaded.train), len(loaded.val)) == (367, 101)
    assert [100 * share * (1 - void) for share in loaded.shares] == pytest.approx(
        published, abs=0.06
    )
