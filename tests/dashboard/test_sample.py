"""Of many points a chart draws few: how far they reach is kept, and where most of them lie."""

from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.charts.sample import columns, representative, short

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=500)


@given(VALUES, st.integers(min_value=4, max_value=200))
def test_the_lowest_and_the_highest_are_drawn(values: list[float | None], limit: int) -> None:
    """However few are kept, in their order and none twice."""
    kept = representative(values, limit)
    known = [value for value in values if value is not None]
    drawn = [value for index in kept if (value := values[index]) is not None]
    assert kept == sorted(set(kept))
    assert len(kept) <= limit
    assert (min(drawn, default=0), max(drawn, default=0)) == (
        min(known, default=0),
        max(known, default=0),
    )


def test_half_of_the_sample_is_even() -> None:
    """So that a cloud with a dense middle is not drawn as a hollow band."""
    values = [float(index % 100 == 0) for index in range(10_000)]
    assert sum(values[index] == 0 for index in representative(values, 400)) > 200


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_are_short_and_close(value: float) -> None:
    """Six digits tell more than a screen can; what is not finite is not drawn."""
    found = short(value)
    if found is None:
        assert not abs(value) < float("inf")
    else:
        assert abs(found - value) <= abs(value) * 1e-5


def test_no_rows_are_empty_columns() -> None:
    """Each of them, so that none is missing."""
    assert columns([], 3) == [(), (), ()]
    assert columns([(1, 2), (3, 4)], 2) == [(1, 3), (2, 4)]
