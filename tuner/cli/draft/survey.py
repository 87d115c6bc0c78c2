"""Reads a sample of a folder's images and masks: sizes, labels, and what is odd about them."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tuner.cli.draft.layout import Layout, find_layout
from tuner.errors import DataError
from tuner.training import mask_palettes, patterns, pictures
from tuner.training import pairs as pairing

_MASKS_READ = 200
_HEADERS_READ = 1000
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
    layout = find_layout(patterns.files_below(folder))
    pairs = tuple(pair for split in layout.splits.values() for pair in split.pairs)
    sizes, unreadable = _sizes(folder, _spread([image for image, _ in pairs], _HEADERS_READ))
    classes_file, classes = _class_names(folder)
    labels = _Labels()
    for image, mask in _spread(pairs, _MASKS_READ):
        labels.read(folder, image, mask)
    labels.compare([folder / mask for _, mask in pairs])
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

    def compare(self, masks: Sequence[Path]) -> None:
        """Note masks whose palettes do not agree."""
        try:
            mask_palettes.check(masks)
        except (DataError, OSError) as error:
            self.unreadable.append(str(error))

    def read(self, folder: Path, image: str, mask: str) -> None:
        try:
            found = pictures.read_values(folder / mask)
        except (DataError, OSError) as error:
            self.unreadable.append(str(error))
            return
        if found.is_coloured:
            self.colour.append(mask)
            return
        try:
            size = pictures.size_of(folder / image)
            height, width = found.values.shape
            pairing.check_fit(folder / image, size, folder / mask, (height, width))
        except (DataError, OSError) as error:
            self.odd_sizes.append(str(error))
        self.read_count += 1
        labels, counts = np.unique(found.values, return_counts=True)
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
            self.pixels[label] += count
            self.seen_in[label] += 1


def _sizes(folder: Path, names: Sequence[str]) -> tuple[Mapping[Size, int], tuple[str, ...]]:
    sizes: Counter[Size] = Counter()
    unreadable = []
    for name in names:
        try:
            sizes[pictures.size_of(folder / name)] += 1
            pictures.check_picture(folder / name)
        except (DataError, OSError) as error:
            unreadable.append(str(error))
    if not sizes:
        raise DataError(
            f"none of the {len(names)} images below {folder} is readable: {unreadable[0]}"
        )
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
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        try:
            lines = json.loads(text) if path.suffix == ".json" else text.splitlines()
        except json.JSONDecodeError:
            continue
        if isinstance(lines, list):
            return name, tuple(str(line).strip() for line in lines if str(line).strip())
    return None, ()
