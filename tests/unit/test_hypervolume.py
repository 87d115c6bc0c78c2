"""Volumes below fronts, against boxes counted by hand and by chance."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import few
from tuner.search.hypervolume import Point, contribution, history, hypervolume, without_dominated


def points(dimensions: int) -> st.SearchStrategy[list[Point]]:
    """Points on a coarse lattice, so that many are equal in some coordinate."""
    cell = st.integers(0, 6).map(float)
    return st.lists(st.tuples(*[cell] * dimensions), max_size=7)


def by_cells(found: list[Point], size: int) -> float:
    """The same volume, by counting the unit cells of the lattice that a point dominates."""
    dimensions = len(found[0])
    return sum(
        any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in found)
        for cell in itertools.product(range(size), repeat=dimensions)
    )


@pytest.mark.parametrize(
    ("found", "reference", "volume"),
    [
        ([], (1.0, 1.0), 0.0),
        ([(0.25,), (0.5,)], (1.0,), 0.75),
        ([(0.0, 0.5), (0.5, 0.0)], (1.0, 1.0), 0.75),
        ([(0.0, 0.5), (0.0, 0.5), (2.0, -5.0)], (1.0, 1.0), 0.5),
        ([(0.0, 0.0, 0.5), (0.5, 0.5, 0.0)], (1.0, 1.0, 1.0), 0.625),
    ],
)
def test_volumes_counted_by_hand(found: list[Point], reference: Point, volume: float) -> None:
    """Nothing, one objective, two, points beyond the reference, three objectives."""
    assert hypervolume(found, reference) == pytest.approx(volume)


@few
@given(st.integers(1, 4).flatmap(points))
def test_the_volume_is_that_of_the_cells(found: list[Point]) -> None:
    """For up to four objectives, whatever is dominated or equal."""
    if found:
        reference = (7.0,) * len(found[0])
        assert hypervolume(found, reference) == pytest.approx(by_cells(found, 7))


@few
@given(st.integers(2, 4).flatmap(points))
def test_the_history_ends_with_the_volume_of_all(found: list[Point]) -> None:
    """It never falls, and adding up contributions gives the same as measuring at once."""
    if not found:
        return
    reference = (7.0,) * len(found[0])
    volumes = history(found, reference)
    assert volumes == sorted(volumes)
    for count, volume in enumerate(volumes, start=1):
        assert volume == pytest.approx(hypervolume(found[:count], reference))


def test_a_point_beyond_the_reference_contributes_nothing() -> None:
    """Touching it is beyond it."""
    assert contribution((0.0, 1.0), [], (1.0, 1.0)) == 0.0


def test_a_large_front_is_quick_enough_for_a_request() -> None:
    """Ten thousand trials over two objectives, and some hundred over four, need no sampling."""
    chance = random.Random(0)
    many = [(chance.random(), chance.random()) for _ in range(10_000)]
    few_but_wide = [tuple(chance.random() for _ in range(4)) for _ in range(150)]
    assert 0.9 < history(many, (1.0, 1.0))[-1] <= 1
    assert 0.1 < history(few_but_wide, (1.0,) * 4)[-1] <= 1
    assert len(without_dominated(many)) < 50
