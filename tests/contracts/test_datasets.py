"""Every data set format either opens or says in plain words why it cannot."""

from pathlib import Path

import numpy as np
import pytest

from tuner.configs import catalog
from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.data.split import Split

CLASSES = ("road", "sky", "car")


def open_split(dataset: str, split: str, root: Path) -> Split:
    """Open a split of an empty root with default options."""
    config = DatasetConfig(format=dataset, classes=CLASSES, size=(32, 48), ignore_index=9)
    opened = catalog.load("dataset", dataset).open_split(config, split, (root,))
    assert isinstance(opened, Split)
    return opened


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_root_is_refused_or_not_needed(dataset: str, split: str, tmp_path: Path) -> None:
    """Formats that read files name what is missing; those that draw give pairs of one size."""
    if not {"root", "images"} & set(catalog.find("dataset", dataset).options):
        opened = open_split(dataset, split, tmp_path)
        picture, mask = opened.read(0)
        assert (picture.shape, picture.dtype) == ((*mask.shape, 3), np.uint8)
        assert set(np.unique(mask).tolist()) <= {0, 1, 2, 9}
        assert len(opened) == len(set(opened.names))
        return
    with pytest.raises(DataError, match=r"no|not"):
        open_split(dataset, split, tmp_path)


def test_a_root_outside_the_allowed_ones_is_refused(dataset: str, tmp_path: Path) -> None:
    """A study cannot read files that the worker's operator did not allow."""
    if "root" not in catalog.find("dataset", dataset).options:
        assert open_split(dataset, "train", tmp_path).names
        return
    config = DatasetConfig(format=dataset, classes=CLASSES, size=(32, 48))
    (tmp_path / "inside").mkdir()
    module = catalog.load("dataset", dataset)
    for root in (str(tmp_path), "..", "/etc"):
        with pytest.raises(DataError, match="allowed roots"):
            module.open_split(config, "train", (tmp_path / "inside",), root=root)
