"""Shares of a range and values of it belong to each other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.unit.samples import few, spaces
from tuner.optuna_encoding import distributions
from tuner.search.units import from_unit, to_unit
from tuner.spec.space import SearchSpace

SHARES = st.floats(0, 1, exclude_max=True)


@few
@given(spaces(), SHARES)
def test_every_share_is_a_value_of_the_range(document: dict[str, Any], share: float) -> None:
    """Whatever the range is; and the value's share leads back to it."""
    for distribution in distributions(SearchSpace.model_validate(document)).values():
        value = from_unit(distribution, share)
        assert distribution._contains(distribution.to_internal_repr(value))
        again = from_unit(distribution, to_unit(distribution, value))
        assert again == pytest.approx(value) if isinstance(value, float) else again == value


@pytest.mark.parametrize(
    ("distribution", "share", "value"),
    [
        (FloatDistribution(-1.0, 3.0), 0.25, 0.0),
        (FloatDistribution(1e-4, 1e-2, log=True), 0.5, 1e-3),
        (FloatDistribution(0.0, 0.3, step=0.1), 0.5, 0.2),
        (IntDistribution(1, 4), 0.99, 4),
        (IntDistribution(2, 8, step=3), 0.4, 5),
        (IntDistribution(1, 100, log=True), 0.0, 1),
        (CategoricalDistribution(["a", "b", "c"]), 0.34, "b"),
    ],
)
def test_a_share_is_measured_on_the_scale_of_the_search(
    distribution: BaseDistribution, share: float, value: Any
) -> None:
    """Logarithmic where the range is, and in equal parts where values are counted."""
    assert from_unit(distribution, share) == pytest.approx(value)


def test_whole_numbers_have_equal_parts() -> None:
    """The first and the last are not half as likely."""
    drawn = [from_unit(IntDistribution(1, 4), (k + 0.5) / 100) for k in range(100)]
    assert [drawn.count(number) for number in (1, 2, 3, 4)] == [25] * 4
