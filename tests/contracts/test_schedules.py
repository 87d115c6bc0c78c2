"""Every schedule gives a factor between 0 and 1 at every step of its horizon."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.configs import catalog

RISING = {"cosine_restarts", "onecycle"}


@given(total=st.integers(1, 5000), share=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_factor_stays_between_zero_and_one(schedule: str, total: int, share: float) -> None:
    """No step of any horizon goes backwards or beyond the full rate."""
    factor = catalog.load("schedule", schedule).build(total)
    assert 0 <= factor(int(share * (total - 1))) <= 1


def test_it_reaches_the_full_rate(schedule: str) -> None:
    """The learning rate of the config is the highest that is used."""
    factor = catalog.load("schedule", schedule).build(100)
    assert max(factor(step) for step in range(100)) == 1


def test_only_some_schedules_ever_rise(schedule: str) -> None:
    """Warm-up is the loop's business: only some schedules ever go uphill."""
    factor = catalog.load("schedule", schedule).build(100)
    values = [factor(step) for step in range(100)]
    falls = values[0] == 1 and values == sorted(values, reverse=True)
    assert falls != (schedule in RISING)


@given(total=st.integers(50, 5000), share=st.floats(0, 0.999))
@settings(max_examples=30, deadline=None)
def test_its_shape_does_not_depend_on_the_number_of_steps(
    schedule: str, total: int, share: float
) -> None:
    """A batch twice as large, half as many steps, the same course over the budget."""
    build = catalog.load("schedule", schedule).build
    step = int(share * total)
    assert abs(build(total)(step) - build(2 * total)(2 * step)) < 1e-9
