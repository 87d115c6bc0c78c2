"""COCO studies without classes take them from the annotation file, where it is at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tuner.cli.class_names import with_classes
from tuner.errors import DataError

CATEGORIES = [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]


def study(**options: Any) -> dict[str, Any]:
    """A study of the file that `write` writes."""
    dataset = {"format": "coco", "root": "set", "annotations": "{split}.json"}
    return {"name": "s", "dataset": {**dataset, **options}}


def write(root: Path, document: object) -> None:
    """An annotation file."""
    (root / "set").mkdir()
    (root / "set/train.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("options", "classes"),
    [
        ({}, ["background", "cat", "dog"]),
        ({"kind": "panoptic"}, ["cat", "dog"]),
        ({"categories": ["dog"]}, ["background", "dog"]),
    ],
)
def test_the_file_names_the_classes(
    tmp_path: Path, options: dict[str, Any], classes: list[str]
) -> None:
    """In order of their ids, after the background where pixels are left over."""
    write(tmp_path, {"images": [], "annotations": [], "categories": CATEGORIES})
    assert with_classes(study(**options), (tmp_path,))["dataset"]["classes"] == classes


@pytest.mark.parametrize(
    "options",
    [
        {"classes": ["a", "b"]},
        {"classes": None},
        {"remap": {1: 0}},
        {"format": "folder"},
        {"root": "elsewhere"},
        {"root": 7},
        {"root": "../set"},
        {"annotations": "gone.json"},
        {"annotations": ["a"]},
    ],
)
def test_other_studies_stay_as_they_are(tmp_path: Path, options: dict[str, Any]) -> None:
    """What the user wrote is never changed, and what cannot be read is for the server to tell."""
    write(tmp_path, {"images": [], "annotations": [], "categories": CATEGORIES})
    document = study(**options)
    assert with_classes(document, (tmp_path,)) is document
    assert with_classes({"dataset": 7}, (tmp_path,)) == {"dataset": 7}


def test_a_file_that_is_none_is_reported(tmp_path: Path) -> None:
    """It is there, and nobody could train on it."""
    write(tmp_path, [])
    with pytest.raises(DataError, match=r"train\.json: is not a COCO annotation file"):
        with_classes(study(), (tmp_path,))
