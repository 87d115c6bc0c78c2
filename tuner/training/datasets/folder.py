"""Images and masks in folders, paired by name.

`images` and `masks` are folders or patterns below `root`, with `{split}` for train, val and test.
In a folder an image and its mask have the same path apart from the type, or the mask has the
image's whole name before its own type (`a.jpg.png`). In patterns, what the wildcards match is the
name that pairs: `images: "img/*_0000.png"` and `masks: "gt/*_mask.png"` pair `7_0000.png` with
`7_mask.png`; a file that both find is a mask.
`values` lists what the masks hold for each class, in order, where that is not
0, 1, 2, …: `values: [0, 255]` reads black-and-white masks. `palette` lists the colour of each
class in coloured masks; colours after the last class are ignored.

Masks are one number per pixel, stored without loss; a palette's index is the number. A value that
a GeoTIFF declares as nodata and that is not a class is ignored.

Images are read as RGB of 8 bits, without alpha. `channels: stored` keeps the file's own channels
and depth, and `extra` names folders or patterns of further images (infrared, depth) whose channels
follow.
`value_range` is mapped to 0 … 255 in files deeper than 8 bits.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data import labels, pairs
from tuner.training.data.image_files import colour_of, read_colours, read_labels
from tuner.training.data.labels import STRANGE, LabelTable
from tuner.training.data.pairs import Reading
from tuner.training.data.split import Mask, Split
from tuner.wording import quantity

_NAMED = 5


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    images: str = "images/{split}",
    masks: str = "labels/{split}",
    train: str = "train",
    val: str = "val",
    test: str = "test",
    values: list[Annotated[int, Field(ge=0, le=65535)]] = [],  # noqa: B006  # never mutated
    palette: list[
        Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)]
    ] = [],  # noqa: B006
    channels: Literal["rgb", "stored"] = "rgb",
    extra: list[str] = [],  # noqa: B006
    value_range: Annotated[list[float], Field(max_length=2)] = [],  # noqa: B006
) -> Split:
    """The files of a split. Raises DataError when files are missing or do not pair."""
    _check(dataset, values, palette, value_range)
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = {"train": train, "val": val, "test": test}[split]
    found, drawn, *further = (
        pairs.listing(base, each.replace("{split}", folder), roots)
        for each in (images, masks, *extra)
    )
    # Where both lie in one folder, `*.png` finds `a.png` and its mask `a_mask.png` alike.
    masked = set(drawn.values())
    found = {name: path for name, path in found.items() if path not in masked} or found
    written = {"images": images, "masks": masks}
    where = f"{base.name}/{folder}"
    samples = pairs.matched(found, drawn, further, where=where, patterns=written)
    notes = pairs.spare_note(found, drawn, where)
    reading = Reading(
        labels=_labels(dataset, values, palette),
        facts=(values, palette),
        is_stored=channels == "stored",
        value_range=tuple(value_range),
        by_index=not palette,
    )
    return pairs.opened(samples, reading, notes)


def _check(
    dataset: DatasetConfig,
    values: Sequence[int],
    palette: Sequence[Sequence[int]],
    value_range: Sequence[float],
) -> None:
    classes = len(dataset.classes)
    if values and dataset.remap is None and len(values) != classes:
        raise DataError(f"values names {len(values)} labels for {classes} classes")
    if palette and dataset.remap is None and len(palette) < classes:
        raise DataError(f"palette names {quantity(len(palette), 'colour')} for {classes} classes")
    if values and palette:
        raise DataError("masks hold values or colours; give values or palette, not both")
    if value_range and not (len(value_range) == 2 and value_range[0] < value_range[1]):
        raise DataError(f"value_range is {list(value_range)}; write [low, high]")


def _labels(
    dataset: DatasetConfig, values: Sequence[int], palette: Sequence[Sequence[int]]
) -> Callable[[Path], Mask]:
    if palette:
        codes = {r << 16 | g << 8 | b: place for place, (r, g, b) in enumerate(palette)}
        if dataset.remap is None:
            codes = {
                code: place if place < len(dataset.classes) else dataset.ignore_index
                for code, place in codes.items()
            }
        return partial(_of_colours, codes)
    if values:
        known = {dataset.ignore_index: dataset.ignore_index}
        known |= {value: place for place, value in enumerate(values)}
        table = labels.table(known, others=STRANGE)
        return partial(_of_values, table, frozenset(known), dataset.ignore_index)
    classes = range(len(dataset.classes)) if dataset.remap is None else dataset.remap
    return partial(_of_labels, frozenset(classes), dataset.ignore_index)


def _of_labels(known: Set[int], ignore: int, path: Path) -> Mask:
    """The labels of a file; what it declares to be no data, and is not a class, is ignored."""
    found = read_labels(path)
    if found.nodata is None or found.nodata in known:
        return found.values
    return np.where(found.values == found.nodata, ignore, found.values)


def _of_values(table: LabelTable, known: Set[int], ignore: int, path: Path) -> Mask:
    mask = _of_labels(known, ignore, path)
    found = labels.translate(mask, table)
    if odd := pairs.strange(mask, found):
        raise DataError(f"{path.name}: mask values {odd}; known are {sorted(known)}")
    return found


def _of_colours(codes: Mapping[int, int], path: Path) -> Mask:
    mask = read_colours(path)
    seen, places = np.unique(mask, return_inverse=True)
    odd = [code for code in seen.tolist() if code not in codes]
    if odd:
        shown = ", ".join(str(colour_of(code)) for code in odd[:_NAMED])
        raise DataError(
            f"{path.name}: {quantity(len(odd), 'colour')} that palette does not list: {shown}"
            f"{', …' if len(odd) > _NAMED else ''}"
        )
    found = np.array([codes[code] for code in seen.tolist()], dtype=np.int32)
    return found[places].reshape(mask.shape)
