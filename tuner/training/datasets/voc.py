"""Pascal VOC 2012: lists of names, `JPEGImages`, and `SegmentationClass` palette PNGs.

Class 0 is the background; the border, 255, is ignored. For the 10,582 augmented images say
`train: trainaug` and `masks: SegmentationClassAug`, or use a list whose lines name both files.
The test labels of 2012 are not published, those of 2007 are.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import labels, lists, pairs, patterns
from tuner.training.data.pairs import Pair, Reading
from tuner.training.data.split import Split

# fmt: off
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)
COLOURS = (
    (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
    (128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128),
    (192, 0, 128), (64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0),
    (128, 192, 0), (0, 64, 128),
)
# fmt: on
_BORDER = 255


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    train: str = "train",
    val: str = "val",
    test: str = "test",
    images: str = "JPEGImages",
    masks: str = "SegmentationClass",
    lists: str = "ImageSets/Segmentation",
) -> Split:
    """The images that a list names. Raises DataError when the list or files are missing."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    part = {"train": train, "val": val, "test": test}[split]
    listed = f"{lists}/{part}.txt"
    found = [_pair(line, images, masks) for line in _lines(base, listed, roots)]
    counts = Counter(image for _, image, _ in found)
    if repeated := [image for image, count in counts.items() if count > 1]:
        raise DataError(
            f"{listed} names images more than once: {pairs.counted(repeated)}; list each once"
        )
    there = {path: patterns.existing(base, path) for _, *files in found for path in files}
    known = {path: place for path, place in there.items() if place and place.is_file()}
    if lost := [path for path in there if path not in known]:
        raise DataUnavailable(f"{listed} names files that are not there: {pairs.counted(lost)}")
    if outside := [path for path in known if not paths.is_allowed(known[path], roots)]:
        raise DataError(f"{listed} leads outside the allowed roots: {pairs.counted(outside)}")
    table = labels.table({_BORDER: dataset.ignore_index})
    reading = Reading(partial(pairs.translated, table), dataset.ignore_index)
    return pairs.opened([Pair(name, known[a], known[b]) for name, a, b in found], reading)


def _lines(base: Path, listed: str, roots: Sequence[Path]) -> list[list[str]]:
    path = base / listed
    if not path.is_file() or not paths.is_allowed(path, roots):
        raise DataUnavailable(
            f"there is no list {listed} below {base.name}; name another train, val or test"
        )
    found = lists.lines(path)
    if not found:
        raise DataError(f"the list {listed} is empty")
    return found


def _pair(line: Sequence[str], images: str, masks: str) -> tuple[str, str, str]:
    """Name, image and mask of a line: a bare name, or both files as the DeepLab lists have them."""
    if len(line) == 1:
        return line[0], f"{images}/{line[0]}.jpg", f"{masks}/{line[0]}.png"
    return Path(line[0]).stem, line[0].lstrip("/"), line[1].lstrip("/")
