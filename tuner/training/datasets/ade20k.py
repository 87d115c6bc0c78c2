"""ADE20K scene parsing: 150 classes in `annotations` PNGs from 1, 0 is "other" and ignored.

Label k in the files is class k-1 here (Zhou et al. 2017).
"""

from functools import partial
from pathlib import Path

import numpy as np

from tuner.spec.config import DatasetConfig
from tuner.training import pairs, paths
from tuner.training.pairs import Reading
from tuner.training.pictures import read_mask
from tuner.training.split import Mask, Split


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    train: str = "training",
    val: str = "validation",
) -> Split:
    """The images of a split. Raises DataError when files are missing or do not pair."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = train if split == "train" else val
    found = pairs.matched(
        pairs.listing(base, f"images/{folder}", roots),
        pairs.listing(base, f"annotations/{folder}", roots),
        where=f"{base.name}/{folder}",
    )
    reading = Reading(partial(_labels, dataset.ignore_index), dataset.ignore_index)
    return pairs.opened(found, reading)


def _labels(ignore_index: int, path: Path) -> Mask:
    mask = read_mask(path)
    return np.where(mask == 0, ignore_index, mask - 1)
