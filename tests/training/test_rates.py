"""The learning rate of every step: scaling, warm-up, horizon."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, cos, pi
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.samples import config
from tests.unit.samples import few
from tuner.configs import catalog
from tuner.training.optimization import rates


@pytest.mark.parametrize(
    ("optimizer", "batch", "factor"), [("sgd", 16, 2.0), ("sgd", 4, 0.5), ("adamw", 32, 2.0)]
)
def test_rate_is_per_eight_images(optimizer: str, batch: int, factor: float) -> None:
    """SGD scales linearly with the batch, the Adam family with its square root."""
    drawn = {"optimizer.name": optimizer, "optimizer.lr": 0.01, "training.batch_size": batch}
    assert rates.peak(config(drawn)) == pytest.approx(0.01 * factor)


def test_warm_up_rises_linearly_to_the_schedule() -> None:
    """A tenth of 100 steps is a ramp of ten, and after it the schedule stands alone."""
    drawn = {"schedule.name": "constant", "schedule.warmup": 0.1, "training.batch_size": 8}
    rate = rates.by_step(config(drawn), 100)
    values = [rate(step) for step in range(100)]
    assert values[:11] == pytest.approx([0.01 * (step + 1) / 11 for step in range(11)])
    assert set(values[10:]) == {0.01}


def test_poly_follows_the_paper() -> None:
    """(1 - step/total)^power over the whole budget."""
    drawn = {"schedule.power": 0.9, "schedule.warmup": 0.0, "training.batch_size": 8}
    rate = rates.by_step(config(drawn), 1000)
    assert rate(250) == pytest.approx(0.01 * 0.75**0.9)


def test_cosine_ends_at_its_floor() -> None:
    """Half the way down it is halfway between the full rate and the floor."""
    drawn = {"schedule.name": "cosine", "schedule.floor": 0.1, "schedule.warmup": 0.0}
    rate = rates.by_step(config({**drawn, "training.batch_size": 8}), 1000)
    assert rate(500) == pytest.approx(0.01 * 0.55)
    assert rate(1000) == pytest.approx(0.001)


def by_step(params: dict[str, Any], total: int = 100) -> list[float]:
    """Share of the peak rate at every step."""
    drawn = {"schedule.warmup": 0.0, "training.batch_size": 8, "optimizer.lr": 1.0, **params}
    rate = rates.by_step(config(drawn), total)
    return [rate(step) for step in range(total)]


def test_exponential_warm_up_rises_by_a_constant_factor() -> None:
    """From `warmup_start` on."""
    kind = {"schedule.name": "constant", "schedule.warmup_kind": "exponential"}
    values = by_step({**kind, "schedule.warmup": 0.1, "schedule.warmup_start": 0.01})
    assert values[:11] == pytest.approx([0.01 ** (1 - (n + 1) / 11) for n in range(11)])
    assert set(values[10:]) == {1.0}


def test_constant_warm_up_is_a_plateau() -> None:
    """`warmup_start` of the rate, then all of it."""
    kind = {"schedule.name": "constant", "schedule.warmup_kind": "constant"}
    values = by_step({**kind, "schedule.warmup": 0.1, "schedule.warmup_start": 0.25})
    assert values == [0.25] * 10 + [1.0] * 90


def test_linear_warm_up_begins_where_it_is_told() -> None:
    """A start of a half is a ramp from a half to one."""
    values = by_step(
        {"schedule.name": "constant", "schedule.warmup": 0.1, "schedule.warmup_start": 0.5}
    )
    assert values[:11] == pytest.approx([0.5 + 0.5 * (n + 1) / 11 for n in range(11)])


@pytest.mark.parametrize("kind", ["linear", "exponential", "constant"])
def test_no_warm_up_from_nothing_trains_with_nothing(kind: str) -> None:
    """A start of 0 means the first step of a linear ramp for every kind."""
    values = by_step({"schedule.warmup": 0.2, "schedule.warmup_kind": kind})
    assert min(values[:20]) >= 1 / 21 * 0.75


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"name": "step", "gamma": 0.5, "drops": 3}, {0: 1, 25: 0.5, 50: 0.25, 75: 0.125}),
        ({"name": "multistep", "gamma": 0.1, "milestones": [0.5, 0.9]}, {49: 1, 50: 0.1, 90: 0.01}),
        ({"name": "exponential", "final": 0.01}, {0: 1, 50: 0.1}),
        ({"name": "poly", "power": 1.0, "floor": 0.1}, {0: 1, 50: 0.55}),
        ({"name": "cosine_restarts", "cycles": 2}, {0: 1, 25: 0.5, 50: 1, 75: 0.5}),
        ({"name": "cosine_restarts", "cycles": 2, "growth": 3.0}, {0: 1, 25: 1, 62: 0.52}),
        ({"name": "cosine_restarts", "cycles": 2, "damping": 0.5}, {0: 1, 50: 0.5, 75: 0.25}),
        ({"name": "onecycle", "rise": 0.4, "start": 0.1}, {0: 0.1, 20: 0.55, 40: 1}),
    ],
)
def test_a_schedule_passes_through_its_points(
    params: dict[str, Any], expected: dict[int, float]
) -> None:
    """Shares of the full rate at steps of a budget of a hundred."""
    values = by_step({f"schedule.{name}": value for name, value in params.items()})
    found = {step: values[step] for step in expected}
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("percent", range(1, 100))
def test_milestones_come_at_the_step_that_their_share_names(percent: int) -> None:
    """Each percentage of a hundred steps drops the rate at its own number, not one step late."""
    milestones = [percent / 100]
    values = by_step({"schedule.name": "multistep", "schedule.milestones": milestones})
    assert values == [1.0] * percent + [0.1] * (100 - percent)


@few
@given(st.lists(st.decimals("0.001", "0.999", places=3), max_size=4), st.integers(1, 5000))
def test_milestones_are_exact_at_any_length(written: list[Decimal], total: int) -> None:
    """A drop has happened if and only if the step is not before its share of the steps."""
    build = catalog.load("schedule", "multistep").build
    factor = build(total, gamma=0.5, milestones=tuple(map(float, written)))
    for step in range(0, total, max(1, total // 50)):
        assert factor(step) == 0.5 ** sum(step >= Fraction(str(w)) * total for w in written)


@few
@given(st.integers(1, 12), st.decimals(1, 3, places=2), st.integers(12, 3000))
def test_cycles_begin_at_their_exact_share(cycles: int, growth: Decimal, total: int) -> None:
    """Each cycle is `growth` times as long as the one before, and begins at its full height."""
    build = catalog.load("schedule", "cosine_restarts").build
    factor = build(total, cycles=cycles, growth=float(growth))
    lengths = [Fraction(str(growth)) ** cycle for cycle in range(cycles)]
    for cycle in range(cycles):
        begin = sum(lengths[:cycle], Fraction(0)) / sum(lengths) * total
        if begin.denominator == 1:
            assert factor(int(begin)) == 1.0
        first = ceil(begin)
        inside = float((first - begin) / (lengths[cycle] / sum(lengths) * total))
        if inside < 1:
            assert factor(first) == pytest.approx(0.5 * (1 + cos(pi * inside)), abs=1e-9)


@few
@given(st.decimals(0, 1, places=3), st.integers(1, 5000))
def test_warm_up_is_an_exact_share_of_the_steps(written: Decimal, total: int) -> None:
    """The full rate is reached after exactly that many steps, rounded to the nearest."""
    drawn = {"schedule.name": "constant", "schedule.warmup": float(written)}
    values = by_step(drawn, total)
    count = round(Fraction(str(written)) * total)
    assert all(value < 1 for value in values[:count])
    assert set(values[count:]) <= {1.0}
