"""Reads a sample of a folder's images and masks: sizes, labels, and what is odd about them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tuner.cli.init.bands import Bands, find_bands
from tuner.cli.init.layout import Layout, find_layout
from tuner.cli.init.naming import Names, find_names
from tuner.errors import DataError
from tuner.spec.config import Size
from tuner.training.data import image_files, mask_palettes, patterns
from tuner.training.data import pairs as pairing
from tuner.wording import quantity

_MASKS_READ = 400
_HEADERS_READ = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a sample of a folder shows."""

    layout: Layout
    sizes: Mapping[Size, int]
    pixels: Mapping[int, int]  # label, or number of a colour → pixels in the sample
    seen_in: Mapping[int, int]  # label, or number of a colour → masks of the sample that have it
    masks_read: int
    is_coloured: bool = False
    odd_sizes: tuple[str, ...] = ()  # masks whose size is not their image's
    unreadable: tuple[str, ...] = ()
    names: Names | None = None
    nodata: frozenset[int] = frozenset()  # values that files declare as nodata
    borders: frozenset[int] = frozenset()  # labels that lie in thin lines between others
    bands: Bands = field(default_factory=Bands)
    why_coloured: str = ""

    def count(self, split: str) -> int:
        """Pairs in a split."""
        return len(self.layout.splits[split].pairs) if split in self.layout.splits else 0

    @property
    def pairs(self) -> int:
        """Pairs in all splits."""
        return sum(len(split.pairs) for split in self.layout.splits.values())


def survey(folder: Path) -> Findings:
    """Look at a folder. Raises DataError if it holds no pairs of image and mask."""
    layout = find_layout(patterns.files_below(folder))
    pairs = tuple(pair for split in layout.splits.values() for pair in split.pairs)
    images = [folder / image for image, _ in _spread(pairs, _HEADERS_READ)]
    bands = find_bands(images)
    sizes, unreadable = _sizes(folder, images, bands)
    names = find_names(folder)
    sample = [folder / mask for _, mask in _spread(pairs, _MASKS_READ)]
    reason = _reason_for_colours([folder / mask for _, mask in pairs], sample, names)
    labels = _Labels(is_coloured=bool(reason))
    for image, mask in _spread(pairs, _MASKS_READ):
        labels.read(folder / image, folder / mask)
    if not reason and (why := _differ([folder / mask for _, mask in pairs])):
        labels.unreadable.append(why)
    return Findings(
        layout,
        sizes,
        labels.pixels,
        labels.seen_in,
        labels.read_count,
        is_coloured=bool(reason),
        odd_sizes=tuple(labels.odd_sizes),
        unreadable=(*unreadable, *labels.unreadable),
        names=names,
        nodata=frozenset(labels.nodata),
        borders=labels.borders(),
        bands=bands,
        why_coloured=reason,
    )


@dataclass
class _Labels:
    """Counts of labels, or of colours, over the masks read so far."""

    is_coloured: bool
    pixels: Counter[int] = field(default_factory=Counter)
    seen_in: Counter[int] = field(default_factory=Counter)
    read_count: int = 0
    odd_sizes: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    nodata: set[int] = field(default_factory=set)
    contacts: Counter[int] = field(default_factory=Counter)  # label → edges to other labels
    edges: Counter[int] = field(default_factory=Counter)  # label → all edges of its masks

    def read(self, image: Path, mask: Path) -> None:
        """Count one mask, or note why it cannot be read or does not lie on its image."""
        try:
            values = self._values(mask)
        except (DataError, OSError) as error:
            self.unreadable.append(str(error))
            return
        try:
            height, width = values.shape
            pairing.check_fit(image, image_files.size_of(image), mask, (height, width))
        except (DataError, OSError) as error:
            self.odd_sizes.append(str(error))
        self.read_count += 1
        labels, counts = np.unique(values, return_counts=True)
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True):
            self.pixels[label] += count
            self.seen_in[label] += 1
        if len(labels) > 2:
            self._count_edges(values, labels.tolist())

    def borders(self) -> frozenset[int]:
        """Labels that lie in thin lines between all others, as the void of Pascal VOC does."""
        return frozenset(
            label
            for label, own in self.contacts.items()
            if self.edges[label] - own <= _APART * own and 2 * self.pixels[label] <= _THIN * own
        )

    def _values(self, mask: Path) -> NDArray[np.int32]:
        if self.is_coloured:
            return image_files.read_colours(mask)
        found = image_files.read_labels(mask)
        if found.nodata is not None:
            self.nodata.add(found.nodata)
        return found.values

    def _count_edges(self, values: NDArray[np.int32], labels: Sequence[int]) -> None:
        steps = ((values[:, :-1], values[:, 1:]), (values[:-1], values[1:]))
        ends = [(one[one != two], two[one != two]) for one, two in steps]
        both = np.concatenate([end for pair in ends for end in pair])
        found, counts = np.unique(both, return_counts=True)
        self.contacts.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        self.edges.update(dict.fromkeys(labels, len(both) // 2))


_APART = 0.05  # share of the edges at which two others may touch
_THIN = 12  # pixels


def _reason_for_colours(masks: Sequence[Path], sample: Sequence[Path], names: Names | None) -> str:
    """Why masks are read by their colours; empty where they are numbers."""
    for mask in sample:
        try:
            if image_files.read_values(mask).is_coloured:
                return f"the masks are coloured ({mask.name})"
        except (DataError, OSError):
            continue
    palettes = [mask_palettes.palette(mask) for mask in sample]
    if names and names.by_colour and any(palettes):
        used = {colour for mask in sample for colour in _colours(mask)}
        if used <= {r << 16 | g << 8 | b for r, g, b in names.by_colour}:
            return f"{names.source} names the colours of the masks' palettes"
    if None not in palettes and _differ(masks):
        return "the masks' palettes differ, so that an index is not a label"
    return ""


def _differ(masks: Sequence[Path]) -> str:
    """Why an index of the masks' palettes is not a label; empty where it is."""
    try:
        mask_palettes.check(masks)
    except (DataError, OSError) as error:
        return str(error)
    return ""


def _colours(path: Path) -> list[int]:
    try:
        found: list[int] = np.unique(image_files.read_colours(path)).tolist()
    except (DataError, OSError):
        return []
    return found


def _sizes(
    folder: Path, images: Sequence[Path], bands: Bands
) -> tuple[Mapping[Size, int], tuple[str, ...]]:
    sizes: Counter[Size] = Counter()
    unreadable = []
    for image in images:
        try:
            sizes[image_files.size_of(image)] += 1
            if not bands.is_stored:
                image_files.check_image(image)
        except (DataError, OSError) as error:
            unreadable.append(str(error))
    if not sizes:
        raise DataError(
            f"none of the {quantity(len(images), 'image')} below {folder} is readable: "
            f"{unreadable[0]}"
        )
    return sizes, tuple(unreadable)


def _spread(items: Sequence[T], most: int) -> Sequence[T]:
    """At most so many items, evenly spread over the whole."""
    if len(items) <= most:
        return items
    return [items[index * len(items) // most] for index in range(most)]
