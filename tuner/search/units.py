"""Values of a dimension as shares of its range, on the scale on which it is searched."""

from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


def from_unit(distribution: BaseDistribution, share: float) -> Any:
    """The value at a share from 0 to 1 of the range; discrete values have equal parts of it."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[_part(share, len(distribution.choices))]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = _ends(distribution)
    if distribution.log:
        value = exp(low + share * (high - low))
    elif distribution.step is None:
        value = low + share * (high - low)
    else:
        value = distribution.low + distribution.step * _part(share, _count(distribution))
    inside = min(max(value, distribution.low), distribution.high)
    return round(inside) if isinstance(distribution, IntDistribution) else inside


def to_unit(distribution: BaseDistribution, value: Any) -> float:
    """The share of the range at which the value lies; of a discrete one, the middle of its part."""
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value) + 0.5) / len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high = _ends(distribution)
    if distribution.log:
        return float((log(value) - low) / (high - low))
    if distribution.step is None:
        return float((value - low) / (high - low))
    return float(round((value - low) / distribution.step) + 0.5) / _count(distribution)


def parts(distribution: BaseDistribution) -> int | None:
    """How many values there are, where they have equal parts of the range; else None."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    is_even = distribution.step is not None and not distribution.log
    return _count(distribution) if is_even else None


def snapped(distribution: BaseDistribution, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each share as `to_unit` gives it of the value that `from_unit` gives at it."""
    if count := parts(distribution):
        return np.asarray((np.minimum(np.floor(shares * count), count - 1) + 0.5) / count)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(distribution, FloatDistribution):
        return shares
    low, high = _ends(distribution)
    whole = np.clip(
        np.rint(np.exp(low + shares * (high - low))), distribution.low, distribution.high
    )
    return np.asarray((np.log(whole) - low) / (high - low))


def _ends(distribution: IntDistribution | FloatDistribution) -> tuple[float, float]:
    """The range on its scale, on which each whole number has the half before and behind it."""
    low, high = float(distribution.low), float(distribution.high)
    if not distribution.log:
        return low, high
    half = 0.5 if isinstance(distribution, IntDistribution) else 0.0
    return log(low - half), log(high + half)


def _count(distribution: IntDistribution | FloatDistribution) -> int:
    """How many values a stepped range has."""
    assert distribution.step is not None
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _part(share: float, parts: int) -> int:
    return min(int(share * parts), parts - 1)
