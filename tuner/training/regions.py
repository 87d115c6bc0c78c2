"""Regions of COCO annotations as masks: polygons and run lengths, without pycocotools."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuner.errors import DataError

Region = NDArray[np.bool_]
Size = tuple[int, int]


def region(segmentation: object, size: Size) -> Region:
    """The pixels of a `segmentation`: polygons, run lengths, or compressed run lengths.

    Raises:
        DataError: it is none of these, or does not fill an image of this height and width.
    """
    if isinstance(segmentation, Mapping):
        counts = segmentation.get("counts")
        stated = segmentation.get("size", size)
        if tuple(stated) != size:
            raise DataError(f"a run-length mask is {list(stated)}, its image {list(size)}")
        return from_runs(unpacked(counts) if isinstance(counts, str) else counts, size)
    if isinstance(segmentation, Sequence) and not isinstance(segmentation, str):
        found = np.zeros(size, dtype=bool)
        for polygon in segmentation:
            found |= from_polygon(polygon, size)
        return found
    raise DataError(f"a segmentation is {type(segmentation).__name__}, not polygons or run lengths")


def from_runs(counts: Any, size: Size) -> Region:
    """Run lengths down the columns, the first of pixels outside, as a mask. Raises DataError."""
    runs = np.asarray(counts, dtype=np.int64)
    height, width = size
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(f"a run-length mask does not fill an image of {height}×{width}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Run lengths of COCO's compressed string.

    Each is written in digits of five bits from the lowest, 48 added and a sixth bit set where more
    follow; from the fourth run on it is the difference to the run two places before.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        digit = ord(letter) - 48
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def from_polygon(corners: Sequence[float], size: Size) -> Region:
    """Pixels whose centre lies in the polygon x₀, y₀, x₁, y₁, …, by the even-odd rule."""
    height, width = size
    points = np.asarray(corners, dtype=np.float64)
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise DataError(f"a polygon has {len(corners)} numbers; three corners or more need 6, 8, …")
    x, y = points.reshape(-1, 2).T
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
