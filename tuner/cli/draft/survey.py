"""Reads a sample of a folder's images and masks: sizes, labels, and what is odd about them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from tuner.cli.draft.layout import Layout, find_layout
from tuner.errors import DataError

_MASKS_READ = 200
_HEADERS_READ = 1000
_PIXELS = 200_000_000  # more in one file is no photograph; Pillow is not asked to decode it
_INDEXED = frozenset({"L", "P", "1", "I", "I;16", "I;16B", "I;16L"})
_CLASS_FILES = ("classes.txt", "labels.txt", "class_names.txt", "names.txt", "classes.json")

T = TypeVar("T")
Size = tuple[int, int]  # height, width


@dataclass(frozen=True, slots=True)
class Findings:
    """What a sample of a folder shows."""

    layout: Layout
    sizes: Mapping[Size, int]
    pixels: Mapping[int, int]  # label → pixels in the sample
    seen_in: Mapping[int, int]  # label → masks of the sample that have it
    masks_read: int
    colour_masks: tuple[str, ...] = ()
    odd_sizes: tuple[str, ...] = ()  # masks whose size is not their image's
    unreadable: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()  # from a file of class names
    classes_file: str | None = None

    def count(self, split: str) -> int:
        """Pairs in a split."""
        return len(self.layout.splits[split].pairs) if split in self.layout.splits else 0


def survey(folder: Path) -> Findings:
    """Look at a folder. Raises DataError if it holds no pairs of image and mask."""
    paths = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    layout = find_layout(paths)
    pairs = tuple(pair for split in layout.splits.values() for pair in split.pairs)
    sizes, unreadable = _sizes(folder, _spread([image for image, _ in pairs], _HEADERS_READ))
    classes_file, classes = _class_names(folder)
    labels = _Labels()
    for image, mask in _spread(pairs, _MASKS_READ):
        labels.read(folder, image, mask)
    return Findings(
        layout,
        sizes,
        labels.pixels,
        labels.seen_in,
        labels.read_count,
        tuple(labels.colour),
        tuple(labels.odd_sizes),
        (*unreadable, *labels.unreadable),
        classes,
        classes_file,
    )


class _Labels:
    """Counts of labels over the masks read so far."""

    def __init__(self) -> None:
        self.pixels: Counter[int] = Counter()
        self.seen_in: Counter[int] = Counter()
        self.read_count = 0
        self.colour: list[str] = []
        self.odd_sizes: list[str] = []
        self.unreadable: list[str] = []

    def read(self, folder: Path, image: str, mask: str) -> None:
        try:
            with Image.open(folder / mask) as opened:
                if opened.mode not in _INDEXED:
                    self.colour.append(mask)
                    return
                _refuse_huge(opened, mask)
                values = np.asarray(opened)
            with Image.open(folder / image) as opened:
                if opened.size != (values.shape[1], values.shape[0]):
                    self.odd_sizes.append(mask)
        except OSError:
            self.unreadable.append(mask)
            return
        self.read_count += 1
        labels, counts = np.unique(values.astype(np.int64), return_counts=True)
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
            self.pixels[label] += count
            self.seen_in[label] += 1


def _refuse_huge(opened: Image.Image, name: str) -> None:
    if opened.width * opened.height > _PIXELS:
        raise DataError(f"{name} has {opened.width}×{opened.height} pixels; at most {_PIXELS}")


def _sizes(folder: Path, names: Sequence[str]) -> tuple[Mapping[Size, int], tuple[str, ...]]:
    sizes: Counter[Size] = Counter()
    unreadable = []
    for name in names:
        try:
            with Image.open(folder / name) as opened:
                sizes[(opened.height, opened.width)] += 1
        except OSError:
            unreadable.append(name)
    if not sizes:
        raise DataError(f"none of the {len(names)} images below {folder} is readable")
    return sizes, tuple(unreadable)


def _spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many items, evenly spread over the whole."""
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]


def _class_names(folder: Path) -> tuple[str | None, tuple[str, ...]]:
    """Names from a file beside the images, one per line or a JSON list."""
    for name in _CLASS_FILES:
        path = folder / name
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            lines = json.loads(text) if path.suffix == ".json" else text.splitlines()
        except json.JSONDecodeError:
            continue
        if isinstance(lines, list):
            return name, tuple(str(line).strip() for line in lines if str(line).strip())
    return None, ()
