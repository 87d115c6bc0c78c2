"""Translates the labels of mask files into those of a data set's classes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.data.split import ImageArray, Mask, Split

# What no class and no ignore_index can be; the cache counts and names it.
STRANGE = -1
_LABELS = 65536
UNMAPPED = _LABELS - 1
LabelTable = NDArray[np.int32]


def table(labels: Mapping[int, int], *, others: int | None = None) -> LabelTable:
    """New label by old one; those not named become `others`, or stay as they are with None."""
    kept = np.arange(_LABELS, dtype=np.int32)
    found = kept if others is None else np.full(_LABELS, others, dtype=np.int32)
    found[list(labels)] = list(labels.values())
    return found


def translate(mask: Mask, labels: LabelTable) -> Mask:
    """The mask with every label looked up; what the table cannot hold becomes STRANGE."""
    known = (mask >= 0) & (mask < len(labels))
    return np.where(known, labels[mask.clip(0, len(labels) - 1)], STRANGE).astype(np.int32)


def unmapped(dataset: DatasetConfig) -> DatasetConfig:
    """The data set as a format sees it: with a remap, no label of its own can mean "ignore"."""
    if dataset.remap is None:
        return dataset
    return dataset.model_copy(update={"ignore_index": UNMAPPED})


def remapped(split: Split, dataset: DatasetConfig) -> Split:
    """The split with `dataset.remap` applied: labels that it does not name are ignored.

    Raises:
        DataError: it names a label that no mask can hold, or one that is not a class.
    """
    if dataset.remap is None:
        return split
    valid = {*range(len(dataset.classes)), dataset.ignore_index}
    wrong = sorted(set(dataset.remap.values()) - valid)
    wrong += sorted(label for label in dataset.remap if not 0 <= label < _LABELS)
    if wrong:
        raise DataError(
            f"dataset.remap names the labels {wrong}; files hold 0 to {_LABELS - 1}, and new "
            f"labels are 0 to {len(dataset.classes) - 1} or ignore_index {dataset.ignore_index}"
        )
    found = table(dataset.remap, others=dataset.ignore_index)
    key = f"{split.key}/remap {sorted(dataset.remap.items())} {dataset.ignore_index}"
    return replace(split, key=key, read=partial(_read, split, found))


def _read(split: Split, found: LabelTable, index: int) -> tuple[ImageArray, Mask]:
    image, mask = split.read(index)
    return image, translate(mask, found)
