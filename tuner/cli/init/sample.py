"""What a data set's own format reads: the files of a proposal, opened as training opens them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tuner.errors import DataError
from tuner.spec.config import DatasetConfig, Size
from tuner.training.data import load, mask_palettes
from tuner.training.data.split import Split
from tuner.wording import quantity

_READ = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """Images of both splits, and of some that were read: sizes, and labels as training has them."""

    train: int
    val: int
    sizes: Mapping[Size, int]
    pixels: Mapping[int, int]
    seen_in: Mapping[int, int]
    read: int


def sample(dataset: DatasetConfig, folder: Path) -> Sample:
    """Open both splits below the folder and read some of the training images. Raises DataError."""
    train, val = load.splits(dataset, (folder,))
    sizes: Counter[Size] = Counter()
    pixels: Counter[int] = Counter()
    seen_in: Counter[int] = Counter()
    step = max(1, len(train) // _READ)
    chosen = range(0, len(train), step)[:_READ]
    for index in chosen:
        image, mask = train.read(index)
        sizes[image.shape[0], image.shape[1]] += 1
        labels, counts = np.unique(mask, return_counts=True)
        pixels.update(dict(zip(labels.tolist(), counts.tolist(), strict=True)))
        seen_in.update(labels.tolist())
    if odd := sorted(_odd(dataset, pixels)):
        raise DataError(
            f"the masks hold {odd[:5]}, which are not classes of {dataset.format}; name the "
            "classes of these masks in the folder format"
        )
    return Sample(len(train), len(val), sizes, pixels, seen_in, len(chosen))


def fault(dataset: DatasetConfig, folder: Path) -> str:
    """Why training would refuse the data set, as far as its first files tell; empty for nothing."""
    try:
        splits = load.splits(dataset, (folder,))
        if splits[0].channels != splits[1].channels:
            return (
                f"training images have {quantity(splits[0].channels, 'channel')}, "
                "validation images "
                f"{splits[1].channels}; a network takes one number of channels"
            )
        for split in splits:
            mask_palettes.check(split.palettes[:_READ])
            _check(split, dataset)
    except (DataError, OSError) as error:
        return str(error)
    return ""


def _check(split: Split, dataset: DatasetConfig) -> None:
    """Read the first and the last image. Raises DataError."""
    for index in {0, len(split) - 1}:
        _, mask = split.read(index)
        if odd := sorted(_odd(dataset, np.unique(mask).tolist())):
            raise DataError(
                f"{split.names[index]}: the mask holds {odd[:5]}, which are not classes"
            )


def _odd(dataset: DatasetConfig, labels: "Mapping[int, int] | list[int]") -> set[int]:
    return set(labels) - {*range(len(dataset.classes)), dataset.ignore_index}
