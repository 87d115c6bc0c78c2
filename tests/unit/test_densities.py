"""Our mixtures are Optuna's: the same points of the same random numbers, and the same densities."""

from math import isclose
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator

from tuner.search.samplers._densities import ParzenEstimator, log_mass

PARAMS = TPESampler()._parzen_estimator_parameters
DIMENSIONS: tuple[BaseDistribution, ...] = (
    FloatDistribution(0.0, 0.15),
    FloatDistribution(-3.0, 5.0),
    FloatDistribution(1e-6, 1e-2, log=True),
    FloatDistribution(0.0, 1.0, step=0.25),
    IntDistribution(0, 30),
    IntDistribution(64, 512, step=32),
    IntDistribution(1, 1024, log=True),
    CategoricalDistribution(["sgd", "adamw"]),
    CategoricalDistribution(["ocr", "fcn", "pspnet", "unet"]),
)
SPACES = st.lists(st.sampled_from(DIMENSIONS), min_size=1, max_size=6).map(
    lambda found: {f"x{place}": dimension for place, dimension in enumerate(found)}
)
SEEDS = st.integers(0, 2**32 - 1)


def _some(dimension: BaseDistribution, rng: np.random.RandomState) -> float:
    """A value of the dimension, as Optuna's number; the ends come often."""
    if isinstance(dimension, CategoricalDistribution):
        return float(rng.randint(len(dimension.choices)))
    assert isinstance(dimension, (FloatDistribution, IntDistribution))
    low, high, at = dimension.low, dimension.high, rng.choice([0.0, 1.0, rng.rand(), rng.rand()])
    value = low * (high / low) ** at if dimension.log else low + (high - low) * at
    if dimension.step is not None:
        value = low + round((value - low) / dimension.step) * dimension.step
    return float(min(max(value, low), high))


def _history(
    space: dict[str, BaseDistribution], count: int, rng: np.random.RandomState
) -> dict[str, Any]:
    return {name: np.array([_some(one, rng) for _ in range(count)]) for name, one in space.items()}


@settings(deadline=None)
@given(space=SPACES, count=st.integers(0, 60), seed=SEEDS)
def test_the_mixtures_are_those_of_optuna(
    space: dict[str, BaseDistribution], count: int, seed: int
) -> None:
    """Densities agree, from no observation at all to many with the same values."""
    history = _history(space, count, np.random.RandomState(seed))
    theirs, ours = (kind(history, space, PARAMS) for kind in (_ParzenEstimator, ParzenEstimator))

    points = theirs.sample(np.random.RandomState(seed), 24)

    assert ours.log_pdf(points) == pytest.approx(theirs.log_pdf(points), rel=1e-8, abs=1e-8)


@settings(deadline=None)
@given(space=SPACES, count=st.integers(1, 40), seed=SEEDS)
def test_densities_are_finite_everywhere_in_the_range(
    space: dict[str, BaseDistribution], count: int, seed: int
) -> None:
    """No point of the space is so far from the observations that its density is lost."""
    rng = np.random.RandomState(seed)
    ours = ParzenEstimator(_history(space, count, rng), space, PARAMS)

    assert np.isfinite(ours.log_pdf(_history(space, 24, rng))).all()


@given(low=st.floats(-300, 300), width=st.floats(1e-3, 600))
def test_the_mass_of_an_interval_is_exact_in_the_far_tails(low: float, width: float) -> None:
    """It is what Optuna computes, hundreds of deviations out too, where both ends are 0 or 1."""
    ends = np.array([low]), np.array([low + width])
    found, known = log_mass(*ends)[0], _truncnorm._log_gauss_mass(*ends)[0]

    assert isclose(found, known, rel_tol=1e-9, abs_tol=1e-9)


def test_far_and_near_intervals_may_come_together() -> None:
    """An interval in the tail does not change what its neighbours get."""
    low, high = np.array([-1.0, 60.0, -80.0, 0.0]), np.array([1.0, 61.0, -79.0, 1.0])

    alone = [log_mass(low[[place]], high[[place]])[0] for place in range(4)]

    assert log_mass(low, high) == pytest.approx(alone)
    assert np.isfinite(alone).all()
