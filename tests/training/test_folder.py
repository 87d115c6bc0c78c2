"""Folders of images: pairing, and plain words for everything that can be wrong with them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training import samples
from tuner.errors import DataError
from tuner.training.data import image_files
from tuner.training.data import load as data
from tuner.training.data.load import Data


def load(tmp_path: Path, **options: Any) -> Data:
    """Open the folder data set with these options."""
    return data.load(samples.folder(**options), cache=tmp_path / "cache", roots=(tmp_path,))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder data set without a fault."""
    return samples.write_folder(tmp_path)


def test_a_sound_folder_opens(base: Path, tmp_path: Path) -> None:
    """Pairs are in the order of their names."""
    loaded = load(tmp_path)
    assert loaded.train.names == ("000", "001", "002")
    assert loaded.val.names == ("000", "001")


def test_patterns_and_split_names_may_differ(base: Path, tmp_path: Path) -> None:
    """A glob pairs by stem, and the folders may have other names."""
    (base / "images" / "val").rename(base / "images" / "test")
    (base / "labels" / "val").rename(base / "labels" / "test")
    loaded = load(tmp_path, images="images/{split}/*.png", masks="labels/{split}/*", val="test")
    assert loaded.val.names == ("000", "001")


def test_missing_masks_are_counted_and_named(base: Path, tmp_path: Path) -> None:
    """Nothing is decoded before every image has its mask."""
    (base / "labels" / "train" / "001.png").rename(base / "labels" / "train" / "odd.png")
    with pytest.raises(
        DataError, match=r"images without mask: 1 \(001\).*without image: 1 \(odd\)"
    ):
        load(tmp_path)


def test_sizes_must_agree(base: Path, tmp_path: Path) -> None:
    """The message gives both sizes and how many images are affected."""
    Image.new("L", (30, 20)).save(base / "labels" / "train" / "002.png")
    with pytest.raises(DataError, match=r"1 of 3 images.*002.png: the mask is 20×30.*40×60"):
        load(tmp_path)


def test_labels_out_of_range_are_named(base: Path, tmp_path: Path) -> None:
    """The message gives the label, the classes and the ignore index."""
    samples.write_pair(base, "val", "001", np.full((40, 60), 7))
    with pytest.raises(DataError, match=r"1 of 2 images.*001: label 7 .*0 to 2.*ignore_index 255"):
        load(tmp_path)


@pytest.mark.parametrize("ignore_index", [255, 200])
def test_black_and_white_masks_are_recognised(tmp_path: Path, ignore_index: int) -> None:
    """0 and 255 with two classes get the remedy, whether or not 255 means ignore."""
    black_and_white(tmp_path)
    with pytest.raises(DataError, match=r"values: \[0, 255\]"):
        load(tmp_path, classes=["no", "yes"], ignore_index=ignore_index)


def test_values_map_masks_to_classes(tmp_path: Path) -> None:
    """`values` reads black-and-white masks as two classes."""
    black_and_white(tmp_path)
    loaded = load(tmp_path, classes=["no", "yes"], values=[0, 255])
    assert loaded.shares == pytest.approx((0.5, 0.5))


def black_and_white(root: Path) -> None:
    """Masks whose upper half is 0 and whose lower half is 255."""
    mask = np.repeat([0, 255], 20)[:, None] * np.ones((1, 60))
    for split in ("train", "val"):
        samples.write_pair(root / "set", split, "000", mask)


def test_unknown_mask_values_are_named(base: Path, tmp_path: Path) -> None:
    """A value that `values` does not list is no class."""
    with pytest.raises(DataError, match=r"mask values \[1, 2\]; known are \[0, 9, 10, 255\]"):
        load(tmp_path, values=[0, 9, 10])


def test_truncated_files_are_counted(base: Path, tmp_path: Path) -> None:
    """A cut-off download is found before training."""
    path = base / "images" / "train" / "001.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"1 of 3 images cannot be used: 001.png: cannot be read"):
        load(tmp_path)


def test_coloured_masks_are_refused(base: Path, tmp_path: Path) -> None:
    """A picture of the labels is not the labels."""
    picture = Image.open(base / "images" / "train" / "000.png")
    picture.save(base / "labels" / "train" / "000.png")
    with pytest.raises(DataError, match=r"colour image \(RGB\)"):
        load(tmp_path)


def test_palette_masks_give_their_indices(base: Path, tmp_path: Path) -> None:
    """A palette PNG is read as labels, not as colours."""
    mask = Image.fromarray(np.full((40, 60), 2, dtype=np.uint8), mode="P")
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    mask.save(base / "labels" / "val" / "000.png")
    assert (load(tmp_path).val.label(0) == 2).all()


def test_exif_rotation_is_honoured(tmp_path: Path) -> None:
    """A photograph on its side is turned upright before it meets its mask."""
    upright = np.zeros((40, 60, 3), dtype=np.uint8)
    upright[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(np.rot90(upright)).save(path, exif=exif, quality=95)
    read = image_files.read_image(path)
    assert read.shape == upright.shape
    assert abs(read.astype(int) - upright).mean() < 2


def test_too_many_pixels_are_refused_before_decoding(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header's size is enough to say no."""
    monkeypatch.setattr(image_files, "MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="60×40 pixels are more than the 1,000 allowed"):
        load(tmp_path)


def test_links_that_leave_the_allowed_roots_are_refused(base: Path, tmp_path: Path) -> None:
    """Neither `..` nor a link reads what the operator did not allow."""
    outside = tmp_path / "outside.png"
    (base / "images" / "train" / "000.png").rename(outside)
    (base / "images" / "train" / "000.png").symlink_to(outside)
    config = samples.folder(root="")
    with pytest.raises(DataError, match="lead outside the allowed roots"):
        data.load(config, cache=tmp_path / "cache", roots=(base,))
    with pytest.raises(DataError, match="leaves the data set's root"):
        load(tmp_path, images="../set/images/{split}")


def test_holdout_splits_the_training_files(tmp_path: Path) -> None:
    """Without a validation folder a share of the names validates, always the same ones."""
    samples.write_folder(tmp_path, train=20, val=0)
    loaded = load(tmp_path, holdout=0.3)
    train, val = set(loaded.train.names), set(loaded.val.names)
    assert not train & val
    assert len(train | val) == 20
    assert 1 <= len(val) <= 12


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The message gives the root and what is allowed."""
    with pytest.raises(DataError, match=r"root 'set' does not exist"):
        load(tmp_path)
