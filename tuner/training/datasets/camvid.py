"""CamVid with 11 classes and void, 11: the SegNet tutorial's folders, or `images` and `labels`.

The SegNet tutorial has `train` beside `trainannot`; the other layout has `images/train` and
`labels/train`. Which of the two it is, is seen from the folders (Brostow et al. 2009).
"""

from functools import partial
from pathlib import Path

from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import labels, pairs
from tuner.training.data.pairs import Reading
from tuner.training.data.split import Split

# fmt: off
CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "cyclist",
)
COLOURS = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)
# fmt: on
_VOID = 11


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    train: str = "train",
    val: str = "val",
    test: str = "test",
) -> Split:
    """The frames of a split. Raises DataError when files are missing or do not pair."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = {"train": train, "val": val, "test": test}[split]
    is_tutorial = (base / f"{folder}annot").is_dir()
    images, masks = (
        (folder, f"{folder}annot") if is_tutorial else (f"images/{folder}", f"labels/{folder}")
    )
    found = pairs.matched(
        pairs.listing(base, images, roots),
        pairs.listing(base, masks, roots),
        where=f"{base.name}/{folder}",
    )
    table = labels.table({_VOID: dataset.ignore_index})
    reading = Reading(partial(pairs.translated, table), dataset.ignore_index)
    return pairs.opened(found, reading)
