"""A share held out is exact, of whole groups, steady, and the same for every format."""

from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.training import samples
from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.data import folds, load
from tuner.training.data.split import Split

relaxed = settings(deadline=None, max_examples=60)
shares = st.floats(0.01, 0.99)


def split(names: list[str], files: list[str] | None = None) -> Split:
    """Images whose pixel is their position, each of one file."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((1, 1, 3), index, dtype=np.uint8), np.zeros((1, 1), dtype=np.int32)

    return Split(
        tuple(names), "key", read, files=tuple((Path(f"{name}.png"),) for name in files or names)
    )


@relaxed
@given(length=st.integers(2, 60), share=shares)
def test_the_share_is_exact(length: int, share: float) -> None:
    """round(share · n) images validate, at least one and not all, and nothing is lost."""
    pool = split([f"frame{index:03d}" for index in range(length)])
    train, val = folds.held_out(pool, share, None)
    assert len(val) == min(max(round(Fraction(str(share)) * length), 1), length - 1)
    assert sorted((*train.names, *val.names)) == sorted(pool.names)


@relaxed
@given(length=st.integers(2, 40), share=shares, more=st.integers(1, 5))
def test_added_images_move_few_others(length: int, share: float, more: int) -> None:
    """By rank, an image that is added moves no more than one other to the other side."""
    names = [f"frame{index:03d}" for index in range(length + more)]
    before = set(folds.held_out(split(names[:length]), share, None)[1].names)
    after = set(folds.held_out(split(names), share, None)[1].names)
    assert len((before ^ after) & set(names[:length])) <= more


@relaxed
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=7), share=shares)
def test_whole_groups_come_as_near_as_they_can(sizes: list[int], share: float) -> None:
    """No group is divided, each side has one, and no other choice of groups is nearer."""
    names = [f"g{group}_{index}" for group, size in enumerate(sizes) for index in range(size)]
    train, val = folds.held_out(split(names), share, r"^(g\d)_")
    sides = [{name.split("_")[0] for name in part.names} for part in (train, val)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    wanted = min(max(round(Fraction(str(share)) * len(names)), 1), len(names) - 1)
    best = min(
        abs(sum(chosen) - wanted)
        for count in range(1, len(sizes))
        for chosen in combinations(sizes, count)
    )
    assert abs(len(val) - wanted) == best


@pytest.mark.parametrize(("names", "group"), [(["a"], None), (["a1", "a2"], "^(a)")])
def test_what_cannot_be_divided_is_refused(names: list[str], group: str | None) -> None:
    """One image, or one group, has no second side."""
    with pytest.raises(DataError, match=r"holdout is 0\.2, but .* cannot be divided"):
        folds.held_out(split(names), 0.2, group)


@relaxed
@given(
    first=st.sets(st.integers(0, 20), min_size=1),
    second=st.sets(st.integers(0, 20), min_size=1),
    part=st.integers(0, 1),
)
def test_an_image_of_both_parts_is_on_one_side(
    first: set[int], second: set[int], part: int
) -> None:
    """Folds share no file, whatever the two parts had in common."""
    pool = first | second
    if len(pool) < 2:
        pool |= {21, 22}
        first = first | pool
    sides = [split([f"{each:02d}" for each in sorted(group)]) for group in (first, second)]
    train, val = folds.folded(sides[0], sides[1], (part, 2), None)
    found = [{files[0].stem for files in side.files} for side in (train, val)]
    assert not found[0] & found[1]
    assert found[0] | found[1] == {f"{each:02d}" for each in pool}
    assert len(train) + len(val) == len(pool)


def test_one_image_with_two_masks_is_refused() -> None:
    """Which of them is right cannot be told."""
    one, other = split(["a"]), split(["a", "b"])
    other = Split(other.names, "key", other.read, files=((Path("a.png"), Path("m.png")),) * 2)
    with pytest.raises(DataError, match=r"a\.png is a training and a validation image"):
        folds.folded(one, other, (0, 2), None)


def test_validation_on_the_training_images_is_refused(tmp_path: Path) -> None:
    """A pattern without `{split}` gives both parts the same files."""
    samples.write_folder(tmp_path, train=4, val=0)
    same: dict[str, Any] = {"images": "images/train", "masks": "labels/train"}
    with pytest.raises(DataError, match=r"validation has nothing but training images \(4 images\)"):
        opened(tmp_path, samples.folder(**same))
    train, val = opened(tmp_path, samples.folder(**same, holdout=0.5))
    assert (len(train), len(val)) == (2, 2)
    train, val = opened(tmp_path, samples.folder(**same, fold=[0, 4]))
    assert (len(train), len(val)) == (3, 1)


def opened(root: Path, dataset: DatasetConfig) -> tuple[Split, Split]:
    """Both parts of a data set below a root."""
    return load.splits(dataset, (root,))


def put(path: Path, value: int = 0) -> None:
    """A small grey image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16), value, dtype=np.uint8)).save(path)


def camvid(base: Path, stem: str) -> None:
    """A pair of CamVid's training part."""
    put(base / f"images/train/{stem}.png")
    put(base / f"labels/train/{stem}.png")


def ade20k(base: Path, stem: str) -> None:
    """A pair of ADE20K's training part."""
    put(base / f"images/training/{stem}.jpg")
    put(base / f"annotations/training/{stem}.png")


def cityscapes(base: Path, stem: str) -> None:
    """A frame of Cityscapes' training part."""
    put(base / f"leftImg8bit/train/aachen/{stem}_leftImg8bit.png")
    put(base / f"gtFine/train/aachen/{stem}_gtFine_labelIds.png")


def voc(base: Path, stem: str) -> None:
    """An image of VOC's training list."""
    put(base / f"JPEGImages/{stem}.jpg")
    put(base / f"SegmentationClass/{stem}.png")
    listed = base / "ImageSets/Segmentation/train.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    with listed.open("a") as lines:
        lines.write(f"{stem}\n")


WRITERS = {"camvid": camvid, "ade20k": ade20k, "cityscapes": cityscapes, "voc": voc}


@pytest.mark.parametrize("division", [{"holdout": 0.3}, {"holdout": 0.1, "fold": [1, 3]}])
@pytest.mark.parametrize("format_", [*WRITERS, "synthetic"])
def test_every_format_holds_out(tmp_path: Path, format_: str, division: dict[str, Any]) -> None:
    """Training files alone are enough, for a share or for folds of them."""
    settings: dict[str, Any] = {
        "format": format_,
        "classes": [f"c{k}" for k in range(11)],
        "size": [16, 16],
    }
    if format_ in WRITERS:
        settings["root"] = "set"
        for index in range(10):
            WRITERS[format_](tmp_path / "set", f"a_{index:06d}_{index:06d}")
    else:
        settings["train"] = 10
    train, val = opened(tmp_path, DatasetConfig.model_validate({**settings, **division}))
    assert len(train) + len(val) == 10
    assert len(val) == 3 if "fold" not in division else len(val) in (3, 4)
    assert not set(train.names) & set(val.names)
