"""Folds cover every image once, groups stay whole, and subsets lie within each other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.training import samples
from tuner.errors import DataError
from tuner.training.data import folds
from tuner.training.data import load as data
from tuner.training.data.load import Data
from tuner.training.data.split import Split


def split(names: list[str]) -> Split:
    """Images whose pixel is their position."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((1, 1, 3), index, dtype=np.uint8), np.zeros((1, 1), dtype=np.int32)

    return Split(tuple(names), "/".join(names), read)


def called(length: int, first: int = 0) -> list[str]:
    """Names of seven groups in turn."""
    return [f"g{index % 7}_{index}" for index in range(first, first + length)]


relaxed = settings(deadline=None, max_examples=25)


@relaxed
@given(length=st.integers(4, 40), first=st.integers(0, 99), count=st.integers(2, 4))
def test_each_image_validates_in_one_fold(length: int, first: int, count: int) -> None:
    """Over all folds the validation parts are the whole pool, each image once."""
    names, half = called(length, first), length // 2
    seen: list[str] = []
    for part in range(count):
        train, val = folds.folded(split(names[:half]), split(names[half:]), (part, count), None)
        assert sorted((*train.names, *val.names)) == sorted(
            [f"train/{name}" for name in names[:half]] + [f"val/{name}" for name in names[half:]]
        )
        seen += val.names
        assert len(val) - length // count in (0, 1)
    assert len(seen) == len(set(seen)) == length


@relaxed
@given(length=st.integers(2, 40), first=st.integers(0, 99), part=st.integers(0, 2))
def test_a_group_is_never_divided(length: int, first: int, part: int) -> None:
    """No drive, patient or field is in both parts, wherever it came from."""
    other = split(called(5, first))
    train, val = folds.folded(split(called(length, first)), other, (part, 3), "^(g[0-9])_")
    owners = [{name.split("/")[1].split("_")[0] for name in part.names} for part in (train, val)]
    assert not owners[0] & owners[1]


def test_a_fold_reads_the_image_that_it_names() -> None:
    """Names and pixels stay together across pool and selection."""
    train, val = folds.folded(split(["a", "b", "c"]), split(["d", "e"]), (1, 2), None)
    order = {"train/a": 0, "train/b": 1, "train/c": 2, "val/d": 0, "val/e": 1}
    for part in (train, val):
        for index, name in enumerate(part.names):
            assert part.read(index)[0][0, 0, 0] == order[name]


@relaxed
@given(small=st.floats(0.01, 1), large=st.floats(0.01, 1))
def test_subsets_lie_within_each_other(small: float, large: float) -> None:
    """A cheaper fidelity sees nothing that a dearer one does not."""
    low, high = sorted((small, large))
    whole = split([str(index) for index in range(40)])
    inner, outer = folds.subset(whole, low), folds.subset(whole, high)
    assert set(inner.names) <= set(outer.names)
    assert len(inner) == max(1, round(low * 40))


def test_names_that_match_no_group_are_counted() -> None:
    """A pattern that misses files is an error, not a group of its own."""
    with pytest.raises(DataError, match=r"does not match 2 of 3 names \(b, c\)"):
        folds.groups(["a1", "b", "c"], "([0-9])")


@pytest.mark.parametrize(
    "options",
    [{"fold": [2, 2]}, {"fold": [0, 1]}, {"group": "["}, {"group": "a"}, {"remap": {0: 5}}],
)
def test_impossible_divisions_are_refused_at_submission(options: dict[str, Any]) -> None:
    """A fold that does not exist needs no worker to be found."""
    with pytest.raises(ValidationError):
        samples.folder(**options)


def load(tmp_path: Path, **options: Any) -> Data:
    """Open the folder data set with these options."""
    return data.load(samples.folder(**options), cache=tmp_path / "cache", roots=(tmp_path,))


def test_every_format_can_be_divided(tmp_path: Path) -> None:
    """Fold and subset are keys of the data set, not options of a format."""
    samples.write_folder(tmp_path, train=5, val=3)
    loaded = load(tmp_path, fold=[0, 4], subset=0.5)
    assert (len(loaded.train), len(loaded.val)) == (3, 2)
    drawn = data.load(samples.synthetic(fold=[0, 3]), cache=tmp_path / "cache")
    assert (len(drawn.train), len(drawn.val)) == (6, 3)


def test_more_folds_than_images_are_refused(tmp_path: Path) -> None:
    """The message gives how many there can be."""
    samples.write_folder(tmp_path, train=2, val=1)
    with pytest.raises(DataError, match="3 groups of images can give 3 at most"):
        load(tmp_path, fold=[0, 4])


def test_holdout_keeps_groups_whole(tmp_path: Path) -> None:
    """The share is drawn by group where there is one."""
    samples.write_folder(tmp_path, train=20, val=0)
    loaded = load(tmp_path, holdout=0.5, group="(.)$")
    digits = [{name[-1] for name in part.names} for part in (loaded.train, loaded.val)]
    assert digits[0] | digits[1] == set("0123456789")
    assert not digits[0] & digits[1]


def test_remap_changes_the_stored_labels(tmp_path: Path) -> None:
    """Another remap is another version of the data, and what it does not name is ignored."""
    samples.write_folder(tmp_path)
    plain = load(tmp_path)
    merged = load(tmp_path, classes=["flat", "thing"], remap={0: 0, 1: 0})
    expected = np.where(plain.val.label(0) == 2, 255, 0)
    assert np.array_equal(merged.val.label(0), expected)
    assert merged.fingerprint != plain.fingerprint
