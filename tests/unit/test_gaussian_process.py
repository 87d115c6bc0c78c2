"""The Gaussian process against a plain one that is written down pair by pair."""

from itertools import product
from math import exp, log, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from tests.unit.samples import few
from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import (
    GaussianProcess,
    Inputs,
    Kernel,
    KernelSpec,
    Likelihood,
    fitted,
    matern,
)

SEEDS = st.integers(0, 2**32 - 1)
CHOICES = np.array([False, True, False])
KERNEL_SPEC = KernelSpec(CHOICES, np.array([0.0, 0.4, 1.0]))


def some_rows(seed: int, count: int = 12) -> tuple[Inputs, Floats]:
    """Results of a few trials in a cube with a choice, some at several rungs."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, len(CHOICES)))
    points[:, 1] = rng.choice([0.25, 0.75], count)
    trials = rng.integers(0, count // 2, count)
    values = rng.normal(size=count)
    return Inputs(points[trials], rng.integers(0, 3, count), trials), values


def some_logs(seed: int, spec: KernelSpec = KERNEL_SPEC) -> Floats:
    """Logarithms of a kernel's numbers, within a deviation or so of the prior's medians."""
    middle, spread = spec.prior()
    found: Floats = middle + np.random.default_rng(seed).normal(size=len(middle)) * spread
    return found


def covariance(kernel: Kernel, one: tuple[Any, ...], other: tuple[Any, ...]) -> float:
    """Of two results without noise, as the module's docstring has it; each point, rung, trial."""
    spec, (x, r, i), (y, s, j) = kernel.spec, one, other
    apart = [
        (float(a != b) if choice else (a - b) ** 2) * weight
        for a, b, choice, weight in zip(x, y, spec.is_choice, kernel.weights, strict=True)
    ]
    far = sqrt(5 * sum(apart))
    similar = (1 + far + far**2 / 3) * exp(-far) + kernel.own * (i == j)
    across = kernel.amplitudes[r] * kernel.amplitudes[s]
    lag = abs(spec.times[r] - spec.times[s])
    return float(across * exp(-lag / kernel.rho) * similar + spec.offset * (r == s))


def matrix(kernel: Kernel, rows: Inputs) -> Floats:
    """The covariance of results, noise included."""
    each = list(zip(rows.points, rows.rungs, rows.trials, strict=True))
    found = np.array([covariance(kernel, *pair) for pair in product(each, each)])
    return found.reshape(len(each), -1) + (kernel.noise + 1e-6) * np.eye(len(each))


@few
@given(SEEDS)
def test_the_posterior_is_that_of_the_textbook(seed: int) -> None:
    """Mean K*ᵀK⁻¹y and variance k** - K*ᵀK⁻¹K* (Rasmussen & Williams 2006, 2.25)."""
    rows, values = some_rows(seed)
    kernel = Kernel.of(KERNEL_SPEC, some_logs(seed))
    new = np.random.default_rng(seed + 1).random((3, 3))
    bare = Kernel.of(KernelSpec(CHOICES, KERNEL_SPEC.times, offset=0.0), some_logs(seed))
    each = list(zip(rows.points, rows.rungs, rows.trials, strict=True))
    cross = np.array([[covariance(bare, (x, 2, -1), row) for row in each] for x in new])
    solved = np.linalg.solve(matrix(kernel, rows), cross.T)
    process = GaussianProcess(kernel, rows, values)
    mean, sd = process.predict(new, 2)
    assert mean == pytest.approx(solved.T @ values, rel=1e-5, abs=1e-7)
    assert (process.mean(new, 2) == mean).all()
    before = covariance(bare, (new[0], 2, -1), (new[0], 2, -2))
    assert sd**2 == pytest.approx(before - (cross * solved.T).sum(axis=1), rel=1e-5, abs=1e-6)


@few
@given(SEEDS)
def test_the_likelihood_is_that_of_a_normal_distribution(seed: int) -> None:
    """With the prior's; up to a constant, as scipy counts them."""
    rows, values = some_rows(seed)
    likelihood, (middle, spread) = Likelihood(KERNEL_SPEC, rows, values), KERNEL_SPEC.prior()

    def expected(logs: Floats) -> float:
        normal = multivariate_normal(
            np.zeros(len(rows)), matrix(Kernel.of(KERNEL_SPEC, logs), rows)
        )
        return float(-normal.logpdf(values) - norm(middle, spread).logpdf(logs).sum())

    first, second = some_logs(seed), some_logs(seed + 1)
    difference = likelihood(first)[0] - likelihood(second)[0]
    assert difference == pytest.approx(expected(first) - expected(second), rel=1e-6, abs=1e-5)


@few
@given(SEEDS)
def test_the_likelihoods_gradient_is_its_change(seed: int) -> None:
    """By central differences, of which the largest part says how exact the others can be."""
    rows, values = some_rows(seed)
    likelihood, logs = Likelihood(KERNEL_SPEC, rows, values), some_logs(seed)
    steps = 1e-5 * np.eye(len(logs))
    numeric = [(likelihood(logs + s)[0] - likelihood(logs - s)[0]) / 2e-5 for s in steps]
    exact = 1e-4 * (1 + np.abs(numeric).max())
    assert likelihood(logs)[1] == pytest.approx(np.array(numeric), abs=exact)


@few
@given(SEEDS)
def test_the_moments_change_as_their_slopes_say(seed: int) -> None:
    """They are what is predicted; a choice has no slope."""
    rows, values = some_rows(seed)
    process = GaussianProcess(Kernel.of(KERNEL_SPEC, some_logs(seed)), rows, values)
    new = np.random.default_rng(seed + 1).random((4, 3))
    found = process.moments(new, 2)
    mean, sd = process.predict(new, 2)
    assert found.mean == pytest.approx(mean)
    assert found.sd == pytest.approx(sd, rel=1e-4)
    assert not found.mean_slope[:, 1].any()
    assert not found.sd_slope[:, 1].any()
    for place, step in ((0, [1e-5, 0, 0]), (2, [0, 0, 1e-5])):
        above, below = process.moments(new + step, 2), process.moments(new - np.array(step), 2)
        assert found.mean_slope[:, place] == pytest.approx(
            (above.mean - below.mean) / 2e-5, rel=1e-3, abs=1e-4
        )
        assert found.sd_slope[:, place] == pytest.approx(
            (above.sd - below.sd) / 2e-5, rel=1e-2, abs=1e-3
        )


@few
@given(SEEDS)
def test_what_is_believed_moves_no_mean(seed: int) -> None:
    """It only leaves less to learn, most of all where the trials are."""
    rows, values = some_rows(seed)
    process = GaussianProcess(Kernel.of(KERNEL_SPEC, some_logs(seed)), rows, values)
    running = np.random.default_rng(seed + 1).random((2, 3))
    believing = process.believing(running, 2, np.array([98, 99]))
    new = np.concatenate([running, np.random.default_rng(seed + 2).random((5, 3))])
    before, after = process.predict(new, 2), believing.predict(new, 2)
    assert after[0] == pytest.approx(before[0], rel=1e-4, abs=1e-4)
    assert (after[1] <= before[1] + 1e-6).all()
    assert (after[1][:2] < before[1][:2]).all()


def test_believing_nothing_changes_nothing() -> None:
    """Where no trial is running."""
    process = GaussianProcess(Kernel.of(KERNEL_SPEC, KERNEL_SPEC.prior()[0]), *some_rows(1))
    assert process.believing(np.empty((0, 3)), 2, np.empty(0, dtype=int)) is process


def test_the_early_rung_of_a_trial_says_how_it_will_end() -> None:
    """Of two trials with half the curve, the better one is expected to end better."""
    rng = np.random.default_rng(5)
    points = rng.random((20, 3)).round(6)
    worth = np.sin(4 * points[:, 0]) + 0.3 * rng.normal(size=20)  # beyond what the params say
    worth = (worth - worth.mean()) / worth.std()
    first = Inputs(points, np.zeros(20, dtype=int), np.arange(20))
    last = Inputs(points[:10], np.full(10, 2), np.arange(10))
    rows, values = first + last, np.concatenate([worth, worth[:10]])
    process = GaussianProcess(fitted(KERNEL_SPEC, rows, values), rows, values)
    mean, sd = process.predict(points[10:], 2, np.arange(10, 20))
    alone, sd_alone = process.predict(points[10:], 2)
    assert np.corrcoef(mean, worth[10:])[0, 1] > 0.95
    assert np.corrcoef(mean, worth[10:])[0, 1] > np.corrcoef(alone, worth[10:])[0, 1]
    assert (sd < sd_alone * 1.1).all()


def test_a_rungs_own_level_says_nothing_of_params() -> None:
    """That trials are better everywhere at a later step moves no prediction."""
    rows, values = some_rows(3, 30)
    kernel = Kernel.of(KERNEL_SPEC, KERNEL_SPEC.prior()[0])
    new = np.random.default_rng(4).random((5, 3))
    level, _ = GaussianProcess(kernel, rows, values).predict(new, 2)
    raised, _ = GaussianProcess(kernel, rows, values + 0.5 * (rows.rungs == 2)).predict(new, 2)
    assert np.diff(raised) == pytest.approx(np.diff(level), abs=0.06)


def test_a_param_that_does_nothing_gets_a_long_length() -> None:
    """And one on which all depends a short one."""
    rng = np.random.default_rng(2)
    points = rng.random((60, 2))
    spec = KernelSpec(np.array([False, False]), np.zeros(1))
    rows = Inputs(points, np.zeros(60, dtype=int), np.arange(60))
    kernel = fitted(spec, rows, np.sin(9 * points[:, 0]))
    lengths = kernel.weights**-0.5
    assert lengths[0] < 1.0
    assert lengths[1] > 4 * lengths[0]


@pytest.mark.parametrize("dimensions", [2, 4])
def test_several_hills_are_no_noise(dimensions: int) -> None:
    """A wave without noise is predicted between the results."""
    rng = np.random.default_rng(0)
    spec = KernelSpec(np.zeros(dimensions, dtype=bool), np.zeros(1))
    points, new = rng.random((25, dimensions)), rng.random((50, dimensions))
    rows, values = Inputs(points, np.zeros(25, dtype=int), np.arange(25)), np.cos(12 * points[:, 0])
    process = GaussianProcess(fitted(spec, rows, values), rows, values)
    mean, _ = process.predict(new, 0)
    assert np.corrcoef(mean, np.cos(12 * new[:, 0]))[0, 1] > 0.95


@pytest.mark.parametrize("dimensions", [1, 30])
@pytest.mark.parametrize("values", [[0.0], [1.0] * 12, [1e-12, 0.0, -1e-12] * 3])
def test_results_that_say_nothing_are_fitted_too(dimensions: int, values: list[float]) -> None:
    """One, or equal ones, or all of the same params."""
    spec = KernelSpec(np.zeros(dimensions, dtype=bool), np.zeros(1))
    count = len(values)
    points = np.full((count, dimensions), 0.5)
    rows = Inputs(points, np.zeros(count, dtype=int), np.arange(count))
    process = GaussianProcess(fitted(spec, rows, np.array(values)), rows, np.array(values))
    mean, sd = process.predict(np.full((1, dimensions), 0.2), 0)
    assert np.isfinite(mean).all()
    assert (sd > 0).all()


def test_a_space_without_coordinates_is_fitted_too() -> None:
    """All its trials have the same params."""
    spec = KernelSpec(np.zeros(0, dtype=bool), np.zeros(1))
    rows = Inputs(np.empty((4, 0)), np.zeros(4, dtype=int), np.arange(4))
    process = GaussianProcess(fitted(spec, rows, np.arange(4.0)), rows, np.arange(4.0))
    assert np.isfinite(process.predict(np.empty((2, 0)), 0)[0]).all()


def test_a_covariance_that_is_nearly_singular_is_propped_up() -> None:
    """The same result twice, almost without noise."""
    spec = KernelSpec(np.zeros(1, dtype=bool), np.zeros(1), offset=0.0)
    middle, _ = spec.prior()
    middle[1], middle[-2] = log(1e6), log(1e-9)
    rows = Inputs(np.full((30, 1), 0.5), np.zeros(30, dtype=int), np.zeros(30, dtype=int))
    process = GaussianProcess(Kernel.of(spec, middle), rows, np.ones(30))
    assert np.isfinite(process.predict(np.full((1, 1), 0.5), 0)[0]).all()


def test_results_that_are_not_finite_are_refused() -> None:
    """Instead of a posterior of nothing but nan."""
    rows, values = some_rows(1)
    values[3] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        GaussianProcess(Kernel.of(KERNEL_SPEC, KERNEL_SPEC.prior()[0]), rows, values)


def test_equal_points_are_fully_correlated() -> None:
    """Matérn's value is 1 and its slope finite there."""
    value, slope = matern(np.zeros(1))
    assert value == pytest.approx([1.0])
    assert slope == pytest.approx([5 / 3])
