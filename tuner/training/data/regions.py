"""Regions of COCO annotations as masks: polygons and run lengths, without pycocotools."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError
from tuner.spec.config import Size

Region = NDArray[np.bool_]

_SHOWN = 60
# How far a polygon may leave an image whose size is stated: a share of the side, or pixels.
_OVERHANG, _NEAR = 0.1, 8.0
_CODE = re.compile(r"[0-o]*")  # the 64 letters of a compressed string
_LONGEST = 12  # letters of one run: 60 bits are more than any image has


def region(
    segmentation: object, size: Size, stated: Size | None = None, *, slack: float | None = None
) -> Region:
    """The pixels of a `segmentation`: polygons, run lengths, or compressed run lengths.

    Coordinates and runs are for an image of `stated` height and width, the image's own where there
    is none, and are scaled to `size`. No corner may lie further outside than `slack` pixels, or
    than a tenth of the side (8 pixels of a small image) where none is given.

    Raises:
        DataError: it is none of these, does not fill the stated size, or lies outside of it.
    """
    frame = stated or size
    found = np.zeros(size, dtype=bool)
    for part in _parts(segmentation):
        if isinstance(part, Mapping):
            found |= _resized(_of_mapping(part, frame), size)
        else:
            corners = _corners(part)
            _refuse_outside(corners, frame, slack)
            scale = np.array([size[1] / frame[1], size[0] / frame[0]])
            found |= _filled(corners * scale, size)
    return found


def from_runs(counts: Any, size: Size) -> Region:
    """Run lengths down the columns, the first of pixels outside, as a mask. Raises DataError."""
    height, width = size
    if not isinstance(counts, list | tuple) or not all(map(_is_whole, counts)):
        raise DataError(f"run lengths are a list of whole numbers, not {shown(counts)}")
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise DataError(
            f"a run-length mask does not fill an image of {height}×{width}: its runs add up to "
            f"{sum(counts):.0f} pixels instead of {height * width}, or some are negative"
        )
    inside = np.arange(len(counts)) % 2 == 1
    runs = np.asarray(counts, dtype=np.int64)
    return np.repeat(inside, runs).reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Run lengths of COCO's compressed string. Raises DataError.

    Each is written in digits of five bits from the lowest, 48 added and a sixth bit set where more
    follow; from the fourth run on it is the difference to the run two places before.
    """
    if not _CODE.fullmatch(text):
        odd = next(letter for letter in text if not _CODE.fullmatch(letter))
        raise DataError(f"compressed run lengths hold {odd!r}, which no such code has")
    counts: list[int] = []
    value = digits = 0
    for letter in text:
        digit = ord(letter) - 48
        value |= (digit & 31) << 5 * digits
        digits += 1
        if digit & 32 and digits < _LONGEST:
            continue
        if digit & 32:
            raise DataError(f"compressed run lengths hold a run of more than {_LONGEST} letters")
        if digit & 16:
            value -= 1 << 5 * digits
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = digits = 0
    if digits:
        raise DataError("compressed run lengths end within a number; the text is cut off")
    return counts


def shown(value: object) -> str:
    """A value as a message can show it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def dimensions(size: Size) -> str:
    """Height and width for a message."""
    return f"{size[0]}×{size[1]}"


def _parts(segmentation: object) -> Sequence[object]:
    """Polygons and run-length masks, of which some tools write one alone where a list belongs."""
    if isinstance(segmentation, Mapping):
        return [segmentation]
    if not isinstance(segmentation, list | tuple):
        raise DataError(
            f"a segmentation is polygons or run lengths, not {type(segmentation).__name__} "
            f"{shown(segmentation)}"
        )
    if not segmentation:
        raise DataError("the segmentation is empty")
    is_flat = all(_is_number(each) for each in segmentation)
    return [segmentation] if is_flat else segmentation


def _of_mapping(mask: Mapping[Any, Any], frame: Size) -> Region:
    """A run-length mask of an image of that size."""
    if "counts" not in mask:
        raise DataError(f"a run-length mask has no `counts`, only {shown(sorted(map(str, mask)))}")
    stated = size_of(mask) or frame
    if stated != frame:
        raise DataError(
            f"a run-length mask is {dimensions(stated)}, its image "
            f"{dimensions(frame)} (height×width)"
        )
    counts = mask["counts"]
    return from_runs(unpacked(counts) if isinstance(counts, str) else counts, frame)


def size_of(mask: Mapping[Any, Any]) -> Size | None:
    """Height and width that a run-length mask states, or None. Raises DataError."""
    size = mask.get("size")
    if size is None:
        return None
    is_pair = isinstance(size, list | tuple) and len(size) == 2
    if not is_pair or not all(_is_whole(side) and side > 0 for side in size):
        raise DataError(f"the size of a run-length mask is [height, width], not {shown(size)}")
    return int(size[0]), int(size[1])


def _resized(mask: Region, size: Size) -> Region:
    """The mask's value at the centre of every pixel of another size."""
    if mask.shape == size:
        return mask
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(np.int64).clip(0, old - 1)
        for new, old in zip(size, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _corners(polygon: object) -> NDArray[np.float64]:
    """The corners of a polygon as n×2, x first. Raises DataError."""
    if not isinstance(polygon, list | tuple):
        raise DataError(f"a polygon is a list of numbers x, y, x, y, …, not {shown(polygon)}")
    odd = [each for each in polygon if not (_is_number(each) and isfinite(each))]
    if odd:
        raise DataError(f"a polygon holds {shown(odd[0])}, which is not a finite number")
    if len(polygon) < 6 or len(polygon) % 2:
        raise DataError(f"a polygon has {len(polygon)} numbers; three corners or more need 6, 8, …")
    return np.asarray(polygon, dtype=np.float64).reshape(-1, 2)


def _refuse_outside(corners: NDArray[np.float64], frame: Size, slack: float | None) -> None:
    low, high = corners.min(axis=0), corners.max(axis=0)
    edge = np.array([frame[1], frame[0]])
    is_apart = (high < 0).any() or (low > edge).any()
    # A drawn line may leave the image a little; one far outside is of another size.
    allowed = np.maximum(_OVERHANG * edge, _NEAR) if slack is None else slack
    is_beyond = (low < -allowed).any() or (high > edge + allowed).any()
    if is_apart or is_beyond:
        raise DataError(
            f"a polygon reaches from ({low[0]:g}, {low[1]:g}) to ({high[0]:g}, {high[1]:g}), "
            f"{'' if is_apart else 'partly '}outside of its image, which is {frame[1]} wide and "
            f"{frame[0]} high; was the image resized after it was annotated?"
        )


def _filled(corners: NDArray[np.float64], size: Size) -> Region:
    """Counts, in each row of pixel centres, the edges that lie left of each pixel."""
    height, width = size
    x, y = corners.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    rows = np.arange(height)[:, None] + 0.5
    edges = np.nonzero((y <= rows) != (next_y <= rows))
    row, edge = edges[0], edges[1]
    slope = (next_x - x)[edge] / (next_y - y)[edge]
    crossing = x[edge] + (row + 0.5 - y[edge]) * slope
    first = np.ceil(crossing - 0.5).clip(0, width).astype(np.int64)
    turns = np.zeros((height, width + 1), dtype=np.int64)
    np.add.at(turns, (row, first), 1)
    inside: Region = turns.cumsum(axis=1)[:, :width] % 2 == 1
    return inside


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
