"""Cityscapes: `leftImg8bit` and `gtFine`, with the benchmark's 19 classes (Cordts et al. 2016).

The 34 ids of `labelIds` masks become the 19 train ids; all others are ignored. `labels:
labelTrainIds` reads masks that hold train ids already. The benchmark's test labels are not
published (the masks in `gtFine/test` hold nothing): `test` names a folder of your own.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import labels as labelling
from tuner.training.data import pairs
from tuner.training.data.pairs import Reading
from tuner.training.data.split import Split

# In the order of the train ids, as the ids below.
# fmt: off
CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)
COLOURS = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153),
    (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60),
    (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)
# fmt: on
_TRAINED_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    train: str = "train",
    val: str = "val",
    test: str = "test",
    labels: Literal["labelIds", "labelTrainIds"] = "labelIds",
) -> Split:
    """The frames of every city of a split. Raises DataError when files are missing."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = {"train": train, "val": val, "test": test}[split]
    found = pairs.matched(
        pairs.listing(base, f"leftImg8bit/{folder}", roots, suffix="_leftImg8bit"),
        pairs.listing(base, f"gtFine/{folder}", roots, suffix=f"_gtFine_{labels}"),
        where=f"{base.name}/{folder}",
    )
    ids = _TRAINED_IDS if labels == "labelIds" else range(len(_TRAINED_IDS))
    known = {id_: place for place, id_ in enumerate(ids)}
    table = labelling.table(known, others=dataset.ignore_index)
    reading = Reading(partial(pairs.translated, table), (labels, dataset.ignore_index))
    return pairs.opened(found, reading)
