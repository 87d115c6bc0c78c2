"""Every schedule gives a factor between 0 and 1 at every step of its horizon."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tuner import catalog


@given(total=st.integers(1, 5000), share=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_factor_stays_between_zero_and_one(schedule: str, total: int, share: float) -> None:
    """No step of any horizon goes uphill, backwards or beyond the full rate."""
    factor = catalog.load("schedule", schedule).build(total)
    assert 0 <= factor(int(share * (total - 1))) <= 1


def test_it_starts_at_the_full_rate(schedule: str) -> None:
    """Warm-up is the loop's business; the schedule itself begins at 1."""
    assert catalog.load("schedule", schedule).build(100)(0) == 1


def test_it_never_rises(schedule: str) -> None:
    """With default options the factor falls or stays."""
    factor = catalog.load("schedule", schedule).build(100)
    values = [factor(step) for step in range(100)]
    assert values == sorted(values, reverse=True)
