"""The expected calibration error, by hand and against a plain computation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tuner.delivery.evaluation.calibration import BINS, Calibration, Reliability


def measured(pairs: list[tuple[float, bool]], parts: int = 1) -> Calibration:
    """The calibration of pixels that are added in so many parts."""
    total = Reliability()
    for part in range(parts):
        some = pairs[part::parts]
        total.add(
            torch.tensor([each for each, _ in some], dtype=torch.float32),
            torch.tensor([is_right for _, is_right in some], dtype=torch.bool),
        )
    return total.result()


def test_who_is_as_often_right_as_sure_has_no_error() -> None:
    """Half of the pixels at 0.5, three of four at 0.75."""
    found = measured([(0.5, True), (0.5, False), *[(0.75, True)] * 3, (0.75, False)])
    assert found.ece == pytest.approx(0)
    assert found.mean_confidence == pytest.approx(4 / 6)


def test_two_bins_by_hand() -> None:
    """Bins weigh by their pixels: (2·|0.9 - 0.5| + 1·|0.4 - 1|) / 3."""
    found = measured([(0.9, True), (0.9, False), (0.4, True)])
    assert found.ece == pytest.approx((2 * 0.4 + 0.6) / 3)


def test_the_edge_of_a_bin_belongs_to_the_lower_one() -> None:
    """Certainty is in the last bin; 0 in the first."""
    found = measured([(1.0, True), (0.0, False)])
    assert (found.pixels[0], found.pixels[-1]) == (1, 1)


def test_without_a_pixel_there_is_no_error() -> None:
    """Nothing is known then."""
    assert math.isnan(Reliability().result().ece)


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 4),
)
def test_it_is_what_a_plain_computation_gives(pairs: list[tuple[float, bool]], parts: int) -> None:
    """However the pixels are divided into images."""
    expected = 0.0
    for k in range(BINS):
        edges = (np.float32(k), np.float32(k + 1))
        scaled = [(np.float32(c) * np.float32(BINS), c, right) for c, right in pairs]
        some = [
            (c, right) for s, c, right in scaled if edges[0] < s <= edges[1] or (k == 0 and s == 0)
        ]
        if some:
            gap = np.mean([c for c, _ in some]) - np.mean([right for _, right in some])
            expected += len(some) * abs(float(gap)) / len(pairs)
    assert measured(pairs, parts).ece == pytest.approx(expected, abs=1e-9)
