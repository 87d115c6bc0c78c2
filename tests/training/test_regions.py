"""Polygons and run lengths give the pixels that their definitions give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tuner.errors import DataError
from tuner.training.data.regions import region, unpacked

relaxed = settings(deadline=None, max_examples=40)
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, the first of pixels outside."""
    counts, inside = [0], False
    for value in mask.T.reshape(-1):
        if value != inside:
            counts.append(0)
            inside = not inside
        counts[-1] += 1
    return counts


def packed(counts: list[int]) -> str:
    """COCO's compressed string, written from its description."""
    text = ""
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        is_open = True
        while is_open:
            digit, value = value & 31, value >> 5
            is_open = not ((value == 0 and not digit & 16) or (value == -1 and digit & 16))
            text += chr(48 + (digit | 32 if is_open else digit))
    return text


@relaxed
@given(mask=masks)
def test_run_lengths_give_their_mask(mask: np.ndarray) -> None:
    """Plain and compressed run lengths restore any mask."""
    counts = runs_of(mask)
    for form in (counts, packed(counts)):
        assert np.array_equal(region({"counts": form, "size": list(mask.shape)}, mask.shape), mask)


@relaxed
@given(counts=st.lists(st.integers(0, 10**6), max_size=12))
def test_compressed_runs_come_back(counts: list[int]) -> None:
    """Long runs take several letters, differences may be negative."""
    assert unpacked(packed(counts)) == counts


def test_a_string_in_the_published_form() -> None:
    """Letters by hand: 5 is one digit, 40 two, and the fourth run is a difference."""
    assert unpacked("58X1O") == [5, 8, 40, 7]


corner = st.floats(-3, 13).map(lambda value: round(value, 2) + 0.001)


@relaxed
@given(others=st.lists(st.tuples(corner, corner), min_size=2, max_size=5))
def test_a_polygon_holds_the_centres_inside(others: list[tuple[float, float]]) -> None:
    """Each pixel agrees with counting crossings of a ray from its centre."""
    corners = [(5.501, 4.501), *others]  # one lies in the image
    found = region([[value for point in corners for value in point]], (10, 11))
    for row in range(10):
        for column in range(11):
            assert found[row, column] == is_inside(column + 0.5, row + 0.5, corners)


def is_inside(x: float, y: float, corners: list[tuple[float, float]]) -> bool:
    """Whether an odd number of edges lies to the left of the point."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (y0 <= y) != (y1 <= y):
            crossings += x0 + (y - y0) * ((x1 - x0) / (y1 - y0)) <= x
    return crossings % 2 == 1


def test_several_polygons_are_one_region() -> None:
    """An instance in parts covers all of them."""
    found = region([[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 4, 1, 4, 3, 1, 3]], (3, 4))
    assert found.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 1, 1]]


@pytest.mark.parametrize(
    "segmentation",
    [
        "text",
        7,
        [[1, 2, 3, 4]],
        [[0, 0, 1, 0, 1]],
        {"counts": [1, 2], "size": [3, 4]},
        {"counts": [12], "size": [4, 3]},
    ],
)
def test_what_is_no_region_is_refused(segmentation: object) -> None:
    """Two corners, odd numbers, and runs that do not fill the image are errors of the data."""
    with pytest.raises(DataError):
        region(segmentation, (3, 4))
