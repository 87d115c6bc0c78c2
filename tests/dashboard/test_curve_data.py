"""Learning curves for a script: smoothed by the steps between, and never beyond what was seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard.charts.curve_data import smoothed, takes_log

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60)
WEIGHTS = st.floats(0, 0.99)


def points(values: list[float], stride: int = 1) -> list[tuple[int, float, float]]:
    """A value each `stride` steps."""
    return [(index * stride, float(index), value) for index, value in enumerate(values)]


@given(VALUES, WEIGHTS)
def test_averages_stay_within_what_was_seen(values: list[float], weight: float) -> None:
    """Each lies between the lowest and the highest value up to there, at its own place."""
    found = smoothed(points(values), weight)
    assert [place for place, _ in found] == [float(index) for index in range(len(values))]
    for index, (_, average) in enumerate(found):
        seen = values[: index + 1]
        assert min(seen) - 1e-6 <= average <= max(seen) + 1e-6


@given(VALUES)
def test_no_weight_changes_nothing(values: list[float]) -> None:
    """Raw is raw."""
    assert [value for _, value in smoothed(points(values), 0.0)] == pytest.approx(values)


@given(st.floats(-1e3, 1e3), st.integers(1, 60), WEIGHTS)
def test_a_constant_stays(value: float, count: int, weight: float) -> None:
    """From its first step on: nothing begins at 0."""
    found = smoothed(points([value] * count), weight)
    assert [average for _, average in found] == pytest.approx([value] * count, abs=1e-6)


def test_steps_between_count() -> None:
    """A trial that is evaluated each tenth epoch forgets as fast as one that is each epoch."""
    near, far = smoothed(points([0.0, 1.0]), 0.9), smoothed(points([0.0, 1.0], 10), 0.9)
    assert near[-1][1] == pytest.approx(1 / 1.9)
    assert far[-1][1] == pytest.approx(1 / (1 + 0.9**10))


@pytest.mark.parametrize(
    ("metric", "scale", "log"),
    [
        ("train_loss", None, True),
        ("train_loss", "linear", False),
        ("miou", None, False),
        ("miou", "log", True),
    ],
)
def test_losses_are_logarithmic_unless_said(metric: str, scale: str | None, log: bool) -> None:
    """By hand either is possible for any metric."""
    assert takes_log(metric, scale) is log
