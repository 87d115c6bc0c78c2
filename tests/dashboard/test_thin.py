"""Curves keep their ends and extremes when thinned, and their level when smoothed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.charts.thin import smooth, thin

VALUES = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=400)
WEIGHTS = st.floats(min_value=0, max_value=0.99)


def curve(values: list[float]) -> list[tuple[float, float]]:
    """A point for each epoch."""
    return [(float(epoch), value) for epoch, value in enumerate(values, start=1)]


@given(VALUES, st.integers(min_value=2, max_value=120))
def test_ends_and_extremes_are_kept(values: list[float], limit: int) -> None:
    """First, last, lowest and highest are drawn, whatever is left out between them."""
    points = curve(values)
    kept = thin(points, limit)
    drawn = [value for _, value in kept]

    assert (points[0], points[-1]) == (kept[0], kept[-1])
    assert (min(values), max(values)) == (min(drawn), max(drawn))


@given(VALUES, st.integers(min_value=2, max_value=120))
def test_what_is_kept_are_points_in_their_order(values: list[float], limit: int) -> None:
    """Nothing is made up or moved, and there are no more than the screen can show."""
    points = curve(values)
    kept = thin(points, limit)

    assert list(kept) == sorted(set(kept) & set(points))
    assert len(kept) <= max(limit, 4)


def test_a_short_curve_is_whole() -> None:
    """There is nothing to leave out of what fits."""
    points = curve([0.3, 0.1, 0.2])

    assert tuple(points) == thin(points, 3)
    assert () == thin([], 10)


def test_each_stretch_keeps_its_own_spike() -> None:
    """A single bad epoch anywhere is seen, though the curve has a thousand."""
    for spike in (17, 500, 983):
        values = [1.0] * 1000
        values[spike] = 9.0

        assert (spike + 1.0, 9.0) in thin(curve(values), 60)


@given(VALUES, WEIGHTS)
def test_a_smoothed_value_lies_among_those_before_it(values: list[float], weight: float) -> None:
    """An average is no less than the lowest and no more than the highest of what it is of."""
    for index, (epoch, value) in enumerate(smooth(curve(values), weight)):
        seen = values[: index + 1]
        slack = 1e-9 * max(map(abs, seen)) + 1e-12

        assert index + 1 == epoch
        assert min(seen) - slack <= value <= max(seen) + slack


@given(st.floats(min_value=-10, max_value=10), WEIGHTS)
def test_a_level_curve_stays_level(level: float, weight: float) -> None:
    """Also at its beginning, which a plain average would draw towards 0."""
    assert [level] * 5 == pytest.approx([value for _, value in smooth(curve([level] * 5), weight)])


@given(VALUES)
def test_no_weight_changes_nothing(values: list[float]) -> None:
    """Raw curves are smoothed with the weight 0."""
    assert curve(values) == list(smooth(curve(values), 0.0))
