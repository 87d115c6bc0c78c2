"""ADE20K scene parsing: 150 classes in `annotations` PNGs from 1, 0 is "other" and ignored.

Label k in the files is class k-1 here (Zhou et al. 2017). The benchmark's test labels are not
published: `test` names a folder of your own.
"""

from functools import partial
from pathlib import Path

import numpy as np

from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import pairs
from tuner.training.data.image_files import read_mask
from tuner.training.data.pairs import Reading
from tuner.training.data.split import Mask, Split

# The benchmark's order, each by the first of its names.
# fmt: off
CLASSES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
    "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain",
    "chair", "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug",
    "field", "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub",
    "railing", "cushion", "base", "box", "column", "signboard", "chest of drawers", "counter",
    "sand", "sink", "skyscraper", "fireplace", "refrigerator", "grandstand", "path", "stairs",
    "runway", "case", "pool table", "pillow", "screen door", "stairway", "river", "bridge",
    "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar",
    "arcade machine", "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning",
    "streetlight", "booth", "television receiver", "airplane", "dirt track", "apparel", "pole",
    "land", "bannister", "escalator", "ottoman", "bottle", "buffet", "poster", "stage", "van",
    "ship", "fountain", "conveyor belt", "canopy", "washer", "plaything", "swimming pool",
    "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball",
    "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake",
    "dishwasher", "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light",
    "tray", "ashcan", "fan", "pier", "crt screen", "plate", "monitor", "bulletin board", "shower",
    "radiator", "glass", "clock", "flag",
)
# fmt: on


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    train: str = "training",
    val: str = "validation",
    test: str = "testing",
) -> Split:
    """The images of a split. Raises DataError when files are missing or do not pair."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = {"train": train, "val": val, "test": test}[split]
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
