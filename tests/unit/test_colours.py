"""Colours of classes: the data set's own where it has them."""

from typing import Any

import pytest

from tuner.configs import catalog
from tuner.configs.colours import class_colours, colours
from tuner.configs.traits import DatasetTraits
from tuner.spec.config import DatasetConfig


def dataset(**changes: Any) -> DatasetConfig:
    """A data set of two classes in folders."""
    settings = {"format": "folder", "classes": ("road", "sky"), "size": (32, 32)}
    return DatasetConfig.model_validate({**settings, **changes})


def test_a_format_has_the_colours_of_its_authors() -> None:
    """Each class of Cityscapes as in its own pictures."""
    known = catalog.traits(DatasetTraits, "cityscapes")
    found = class_colours(dataset(format="cityscapes", classes=known.classes))
    assert found == known.colours
    assert dict(zip(known.classes, found, strict=True))["road"] == (128, 64, 128)


@pytest.mark.parametrize("name", ["ade20k", "camvid", "cityscapes", "voc"])
def test_every_class_of_a_format_has_one(name: str) -> None:
    """As many colours as classes."""
    known = catalog.traits(DatasetTraits, name)
    assert len(known.colours) == len(known.classes)


def test_merged_classes_keep_what_names_say() -> None:
    """With a remap, a class of the authors' name has their colour, another one that none has."""
    found = class_colours(dataset(format="camvid", classes=("sky", "vehicle"), remap={0: 0, 8: 1}))
    assert found[0] == (128, 128, 128)
    assert found[1] not in catalog.traits(DatasetTraits, "camvid").colours


def test_coloured_masks_are_shown_as_they_are() -> None:
    """The colours that the study lists, also where classes are merged."""
    palette = [[9, 9, 9], [7, 7, 7], [5, 5, 5]]
    assert class_colours(dataset(palette=palette)) == ((9, 9, 9), (7, 7, 7))
    merged = class_colours(dataset(palette=palette, remap={1: 0, 2: 0, 0: 1}))
    assert merged == ((7, 7, 7), (9, 9, 9))


@pytest.mark.parametrize("palette", [[], None, [[1, 2]], "red", [[1, 2, 300], [0.5, 1, 2]], 7])
def test_others_get_safe_ones(palette: Any) -> None:
    """Whatever a stored study says instead of colours."""
    assert class_colours(dataset(palette=palette)) == tuple(colours(2))


def test_a_plugin_that_is_not_here_is_no_error() -> None:
    """A server need not have the format that a worker reads."""
    assert class_colours(dataset(format="elsewhere")) == tuple(colours(2))
