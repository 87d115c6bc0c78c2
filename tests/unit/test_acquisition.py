"""Log expected improvement is exact however far it falls; its maximum leaves room around trials."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from tests.unit.samples import few, spaces
from tuner.search.acquisition import Acquisition, Feasibility, Improvement, log_improvement
from tuner.search.cube import UnitCube
from tuner.search.curve_table import Floats
from tuner.search.gaussian_process import GaussianProcess, Inputs, Kernel, KernelSpec, fitted
from tuner.search.maximisation import Crowd, best_point
from tuner.spec.space import SearchSpace

SEEDS = st.integers(0, 2**32 - 1)
NUMBERS: dict[str, Any] = {f"cube.x{axis}": {"float": [0.0, 1.0]} for axis in range(7)}


def exactly(z: float) -> float:
    """log(φ(z) + z·Φ(z)) as an integral over what cannot cancel: φ(z)·∫u·exp(u·z - u²/2)du."""
    away = max(1.0, -z)
    found, _ = quad(lambda s: s * np.exp(s * z / away - 0.5 * (s / away) ** 2), 0, np.inf)
    return float(norm.logpdf(z) + np.log(found) - 2 * np.log(away))


@pytest.mark.parametrize(
    "z", [3.0, 0.0, -0.5, -0.999, -1.001, -5, -40, -99.9, -100.1, -1e4, -1e8, -1e90]
)
def test_the_improvement_is_exact_in_its_tail(z: float) -> None:
    """Down to where it would be 0 in floating point, and across the seams of its three forms."""
    assert log_improvement(np.array([z]))[0] == pytest.approx(exactly(z), rel=1e-10, abs=1e-10)


def process(seed: int, *, count: int = 15, bound: bool = False) -> GaussianProcess:
    """Of random results in three coordinates, of which the second is a choice."""
    rng = np.random.default_rng(seed)
    spec = KernelSpec(
        np.array([False, True, False]), np.zeros(1), **({"offset": 0.0} if bound else {})
    )
    points = rng.random((count, 3))
    rows = Inputs(points, np.zeros(count, dtype=int), np.arange(count))
    middle, spread = spec.prior()
    logs = middle + rng.normal(size=len(middle)) * spread
    logs[-2] = max(logs[-2], -3.0)  # noise, so that the differences below are exact
    return GaussianProcess(Kernel.of(spec, logs), rows, rng.normal(size=count))


@few
@given(SEEDS, st.floats(-2, 300))
def test_an_acquisition_changes_as_its_slopes_say(seed: int, best: float) -> None:
    """Improvement and feasibility together, near and very far from anything good."""
    promise = Acquisition(
        [Improvement(process(seed), 0, best), Feasibility(process(seed + 1, bound=True), best / 10)]
    )
    new = np.random.default_rng(seed + 2).random((3, 3))
    values, slopes = promise.slopes(new)
    assert values == pytest.approx(promise.values(new), rel=1e-4)
    for place in (0, 2):
        step = 1e-6 * np.eye(3)[place]
        change = (promise.slopes(new + step)[0] - promise.slopes(new - step)[0]) / 2e-6
        exact = 1e-3 * (1 + np.abs(change).max()) + 1e-8 * np.abs(values).max()
        assert slopes[:, place] == pytest.approx(change, rel=1e-2, abs=exact)
    assert not slopes[:, 1].any()


@few
@given(SEEDS)
def test_feasibility_is_a_probability(seed: int) -> None:
    """The normal distribution's above the bound."""
    slack = process(seed, bound=True)
    new = np.random.default_rng(seed).random((5, 3))
    mean, sd = slack.predict(new, 0)
    found = np.exp(Feasibility(slack, 0.3).values(new))
    assert found == pytest.approx(norm.sf(0.3, mean, sd))


class Hill:
    """A promise that is greatest at one point."""

    def __init__(self, top: Floats) -> None:
        self._top = top

    def values(self, points: Floats) -> Floats:
        """Less with the squared distance."""
        return np.asarray(-((points - self._top) ** 2).sum(axis=1))

    def slopes(self, points: Floats) -> tuple[Floats, Floats]:
        """Towards the top."""
        return self.values(points), -2 * (points - self._top)


def found(
    space: dict[str, Any],
    top: list[float],
    trials: list[list[float]] | None = None,
    most: int = 2,
) -> Floats:
    """The best point of a hill in a space where some trials are."""
    cube = UnitCube.of(SearchSpace.model_validate(space))
    points = np.array(trials or np.empty((0, len(cube))), dtype=float)
    crowd = Crowd(points, cube.is_choice, most)
    return best_point(Hill(np.array(top)), cube, points[:6], crowd, np.random.default_rng(3))


@pytest.mark.parametrize("top", [[0.3, 0.6, 0.1, 0.5, 0.9, 0.2, 0.8], [0.0, 1.0, 0.5] + [0.3] * 4])
def test_the_top_is_found(top: list[float]) -> None:
    """Exactly, inside and on a bound."""
    assert found(NUMBERS, top) == pytest.approx(top, abs=1e-5)


def test_the_top_of_a_grid_is_found() -> None:
    """Among whole numbers and choices."""
    space = {
        "a.x": {"int": [0, 9]},
        "a.y": {"choice": ["one", "two", "three"]},
        "a.z": {"float": [0, 1], "step": 0.25},
    }
    assert found(space, [0.33, 0.5, 0.69]) == pytest.approx([0.35, 0.5, 0.7])


def test_one_trial_near_the_top_leaves_room() -> None:
    """Two do not: the next point lies farther from them, unless there is no limit."""
    top = [0.5] * 7
    beside = [[0.52, *top[1:]], [*top[1:], 0.47]]
    assert found(NUMBERS, top, beside[:1]) == pytest.approx(top, abs=1e-5)
    assert found(NUMBERS, top, beside, most=3) == pytest.approx(top, abs=1e-5)
    assert found(NUMBERS, top, beside, most=0) == pytest.approx(top, abs=1e-5)
    away = np.abs(found(NUMBERS, top, beside) - np.array(beside)).max(axis=1)
    assert (away < 0.1).sum() < 2
    assert away.min() < 0.25


def test_where_all_is_crowded_the_best_is_taken() -> None:
    """But never a point that a trial has, as long as there is another."""
    space = {"a.x": {"choice": ["one", "two", "three"]}}
    assert found(space, [1 / 6], [[1 / 6], [1 / 6]]) == pytest.approx([0.5])
    assert found(space, [1 / 6], [[1 / 6], [0.5], [5 / 6]]) == pytest.approx([1 / 6])


def test_one_coordinate_is_not_soon_full() -> None:
    """What is near in a line takes as little of it as a box takes of the cube."""
    space = {"a.x": {"float": [0.0, 1.0]}}
    assert found(space, [0.5], [[0.45], [0.55], [0.53], [0.44]]) == pytest.approx([0.5], abs=1e-5)


@few
@given(SEEDS)
def test_a_crowd_is_counted_as_written_down(seed: int) -> None:
    """Two within a tenth along every coordinate, or five within a quarter; choices are equal."""
    rng = np.random.default_rng(seed)
    is_choice = np.arange(8) == 2
    trials = np.clip(0.5 + 0.15 * rng.normal(size=(60, 8)), 0, 1)
    new = np.clip(0.5 + 0.1 * rng.normal(size=(40, 8)), 0, 1)
    trials[:, 2], new[:, 2] = rng.choice([0.25, 0.75], 60), rng.choice([0.25, 0.75], 40)
    new[0] = trials[0]
    apart = np.abs(new[:, np.newaxis] - trials)
    apart[:, :, 2] = np.where(apart[:, :, 2] > 0, 1.0, 0.0)
    far = apart.max(axis=2)
    crowded = ((far < 0.1).sum(axis=1) >= 2) | ((far < 0.25).sum(axis=1) >= 5)
    levels = Crowd(trials, is_choice, 2).levels(new)
    assert levels[0] == 2
    assert (levels[1:] == crowded[1:]).all()
    assert Crowd(trials, is_choice, 0).levels(new).tolist() == [2] + [0] * 39


@few
@given(spaces(), SEEDS)
def test_every_best_point_is_one_of_the_space(document: dict[str, Any], seed: int) -> None:
    """Conditions included, whatever the model says."""
    cube = UnitCube.of(SearchSpace.model_validate(document))
    rng = np.random.default_rng(seed)
    points = cube.snap(rng.random((8, len(cube))))
    spec = KernelSpec(cube.is_choice, np.zeros(1))
    rows, values = Inputs(points, np.zeros(8, dtype=int), np.arange(8)), rng.normal(size=8)
    promise = Improvement(GaussianProcess(fitted(spec, rows, values), rows, values), 0, 2.0)
    point = best_point(promise, cube, points[:2], Crowd(points, cube.is_choice, 2), rng)
    assert cube.snap(point[np.newaxis])[0] == pytest.approx(point, abs=1e-9)
