"""Whether an index means the same colour in every palette mask of a data set."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np

from tuner.errors import DataError
from tuner.training.data import image_files

_THREADS = 8


def check(files: Iterable[Path]) -> None:
    """Read the headers of mask files. Raises DataError naming two that disagree.

    Only colours that some pixel has count. Palettes of greys are read by their greys, so that they
    may differ.
    """
    paths = list(dict.fromkeys(files))
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        found = list(pool.map(palette, paths))
    palettes = [(path, colours) for path, colours in zip(paths, found, strict=True) if colours]
    if _are_one({colours for _, colours in palettes}):
        return
    _compare(palettes)


def palette(path: Path) -> bytes | None:
    """The colours of a palette file; None also where it cannot be read, as decoding it reports."""
    try:
        return image_files.palette_of(path)
    except (DataError, OSError):
        return None


def _are_one(palettes: set[bytes]) -> bool:
    """Whether all are beginnings of the longest, or greys."""
    greys = sum(image_files.is_grey(each) for each in palettes)
    longest = max(palettes, key=len, default=b"")
    is_one = all(longest.startswith(each) for each in palettes)
    return greys == len(palettes) or (is_one and not greys)


def _compare(palettes: Iterable[tuple[Path, bytes]]) -> None:
    known: dict[int, tuple[bytes, Path]] = {}
    indices: dict[bytes, tuple[int, Path]] = {}
    for path, colours in palettes:
        _refuse_greys(path, colours)
        for index, colour in _used(path, colours):
            first, other = known.setdefault(index, (colour, path))
            place, earlier = indices.setdefault(colour, (index, path))
            if first != colour:
                raise DataError(
                    f"index {index} is the colour {list(first)} in {other.name}, but "
                    f"{list(colour)} in {path.name}: the masks' palettes differ, so that an "
                    "index is not a label; give the colours instead: `palette: [[r, g, b], …]`, "
                    "one for each class"
                )
            if place != index:
                raise DataError(
                    f"the colour {list(colour)} is index {place} in {earlier.name}, but {index} in "
                    f"{path.name}: the masks' palettes differ, so that an index is not a label; "
                    "give the colours instead: `palette: [[r, g, b], …]`, one for each class"
                )


def _refuse_greys(path: Path, colours: bytes) -> None:
    """Among palettes of colours, one of greys must give its indices too."""
    if not image_files.is_grey(colours):
        return
    with suppress(DataError, OSError):
        if np.array_equal(image_files.read_mask(path), image_files.read_indices(path)):
            return
    raise DataError(
        f"{path.name} has a palette of greys, other masks have colours, so that an index is not a "
        "label; give the colours: `palette: [[r, g, b], …]`, one for each class"
    )


def _used(path: Path, colours: bytes) -> Iterator[tuple[int, bytes]]:
    """Index and colour of what the pixels of a file hold."""
    try:
        indices = np.unique(image_files.read_indices(path)).tolist()
    except (DataError, OSError):
        return
    for index in indices:
        yield index, colours[3 * index : 3 * index + 3]
