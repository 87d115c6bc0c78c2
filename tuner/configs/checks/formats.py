"""What a data set format knows of itself, so that a study need not say it.

A format file says it in capitals: see `tuner.configs.traits.DatasetTraits`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tuner.configs import catalog
from tuner.configs.traits import DatasetTraits
from tuner.errors import Problem
from tuner.spec.config import DatasetConfig

_IN_ITS_FILE = "coco"


def completed(document: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The study with the classes of its data set's format, where it names none.

    With a remap the labels are no longer the format's, so that their names have to be given.
    """
    dataset = document.get("dataset")
    if not isinstance(dataset, Mapping) or "classes" in dataset or dataset.get("remap") is not None:
        return document
    format_ = _known(dataset)
    if format_ is None or not format_.classes:
        return document
    return {**document, "dataset": {**dataset, "classes": list(format_.classes)}}


def hints(document: Mapping[Any, Any]) -> list[Problem]:
    """What to write where a study lacks classes and its format does not give them either."""
    dataset = document.get("dataset")
    if not isinstance(dataset, Mapping) or "classes" in dataset:
        return []
    if dataset.get("remap") is not None:
        message = "with remap, name the classes that the labels are merged into, in order"
    elif dataset.get("format") == _IN_ITS_FILE:
        message = (
            "name the categories to learn, and `background` for what is of none; `segtune submit` "
            "reads them where the annotation file lies below a data root of its machine"
        )
    else:
        formats = catalog.all_traits(DatasetTraits).items()
        known = ", ".join(name for name, each in formats if each.classes)
        message = f"name the class of each label, in order; only {known} know theirs"
    return [Problem(("dataset", "classes"), message)]


def class_problems(dataset: DatasetConfig) -> Iterator[Problem]:
    """Classes whose number is not that of the labels in the format's files."""
    format_ = catalog.all_traits(DatasetTraits).get(dataset.format)
    if format_ is None or dataset.remap is not None or format_.other_classes:
        return
    right = format_.classes or dataset.classes
    if len(right) != len(dataset.classes):
        message = (
            f"{dataset.format} has the {len(right)} classes {right[0]}, {right[1]}, … {right[-1]}, "
            f"and the study names {len(dataset.classes)}; leave `classes` out, or merge them by "
            "remap"
        )
        yield Problem(("dataset", "classes"), message)


def _known(dataset: Mapping[Any, Any]) -> DatasetTraits | None:
    name = dataset.get("format", DatasetConfig.model_fields["format"].default)
    return catalog.all_traits(DatasetTraits).get(name) if isinstance(name, str) else None
