"""Formats with a fixed list of classes give it to studies that name none."""

from typing import Any

import pytest

from tests.unit.samples import document
from tuner.configs import catalog
from tuner.configs.checks import parse
from tuner.configs.traits import DatasetTraits
from tuner.errors import InvalidSpec
from tuner.training.datasets._painters import PAINTERS

COUNTS = {"camvid": 11, "cityscapes": 19, "voc": 21, "ade20k": 150, "synthetic": 11}


def with_dataset(**dataset: Any) -> dict[str, Any]:
    """The sample study on another data set."""
    return document(dataset={"size": [32, 32], **dataset})


def problem(**dataset: Any) -> str:
    """What is wrong with the study's classes."""
    with pytest.raises(InvalidSpec) as caught:
        parse(with_dataset(**dataset))
    found = [each for each in caught.value.problems if each.location == ("dataset", "classes")]
    return found[-1].message


@pytest.mark.parametrize("format_", COUNTS)
def test_a_fixed_list_needs_no_classes(format_: str) -> None:
    """The server fills them in, and objectives can name them."""
    submitted = with_dataset(format=format_)
    spec = parse(
        {**submitted, "objectives": [{"metric": "iou.car"}]} if format_ != "ade20k" else submitted
    )
    assert len(spec.dataset.classes) == len(set(spec.dataset.classes)) == COUNTS[format_]
    assert "classes" not in submitted["dataset"]


@pytest.mark.parametrize("format_", COUNTS)
def test_classes_may_be_named_otherwise(format_: str) -> None:
    """In another language, say; their number is that of the labels."""
    names = [f"c{place}" for place in range(COUNTS[format_])]
    assert parse(with_dataset(format=format_, classes=names)).dataset.classes == tuple(names)


@pytest.mark.parametrize("format_", sorted(COUNTS.keys() - {"synthetic"}))
def test_another_number_of_classes_is_refused(format_: str) -> None:
    """VOC without its background would teach every label by the name of the next."""
    wrong = problem(format=format_, classes=[f"c{place}" for place in range(COUNTS[format_] - 1)])
    assert f"{format_} has the {COUNTS[format_]} classes" in wrong
    assert "remap" in wrong


def test_remap_needs_the_names_of_what_it_makes() -> None:
    """The format's own names are those of the labels before."""
    assert "labels are merged into" in problem(format="voc", remap={0: 0, 1: 1})
    merged = with_dataset(format="voc", remap={0: 0, 1: 1}, classes=["rest", "aeroplane"])
    assert parse(merged).dataset.classes == ("rest", "aeroplane")


@pytest.mark.parametrize(("format_", "told"), [("coco", "`background`"), ("folder", "only ade20k")])
def test_other_formats_say_what_to_write(format_: str, told: str) -> None:
    """Nobody but the user, or the annotation file, knows the names."""
    assert told in problem(format=format_)


def test_the_painters_are_the_classes() -> None:
    """The list of synthetic's classes is that of what it paints."""
    assert catalog.traits(DatasetTraits, "synthetic").classes == tuple(PAINTERS)


@pytest.mark.parametrize("broken", [None, 7, [], "voc", {"format": 7}, {"format": "vok"}])
def test_broken_data_sets_are_reported_as_before(broken: object) -> None:
    """Filling in looks at documents that nobody has checked."""
    with pytest.raises(InvalidSpec):
        parse(document(dataset=broken))
