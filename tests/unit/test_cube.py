"""Params and points of the unit cube belong to each other, whatever the conditions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import SPACE, few, spaces
from tuner.optuna_encoding import distribution, encode, from_optuna, optuna_name
from tuner.search.cube import MIDDLE, UnitCube
from tuner.search.curve_table import Floats
from tuner.search.optuna_trials import is_whole
from tuner.search.units import from_unit
from tuner.spec.space import Params, SearchSpace

SEEDS = st.integers(0, 2**32 - 1)
CHAIN: dict[str, Any] = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.momentum": {"choice": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
    "optimizer.nesterov": {"choice": [True, False], "when": {"optimizer.momentum": 0.9}},
    "augment.rotate": {"int": [0, 30]},
    "augment.colour": {"float": [0.1, 1.0], "when": {"augment.rotate": [0, 30]}},
}


def some_points(cube: UnitCube, seed: int, count: int = 20) -> Floats:
    """Points of the cube, a third of the coordinates at a bound."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, len(cube)))
    return cube.snap(np.where(rng.random(points.shape) < 0.33, np.round(points), points))


def params_at(space: SearchSpace, cube: UnitCube, point: Floats) -> Params:
    """What a trial that is drawn at the point has: the values of what is active."""
    values, params = cube.values(point), Params()
    for path in space.ordered:
        if active := space.active(path, params):
            only = distribution(active[1])
            name = optuna_name(space, path, active[0])
            params[path] = from_optuna(active[1], values.get(name, from_unit(only, MIDDLE)))
    return params


@few
@given(spaces(), SEEDS)
def test_a_point_is_where_its_params_are(document: dict[str, Any], seed: int) -> None:
    """To params and back, nothing moves, and the conditions hold there as they do in the space."""
    space = SearchSpace.model_validate(document)
    cube = UnitCube.of(space)
    points = some_points(cube, seed)
    assert np.allclose(cube.snap(points), points, atol=1e-9)
    for point, active in zip(points, cube.active(points), strict=True):
        params = params_at(space, cube, point)
        assert is_whole(space, params)
        values, _ = encode(space, params)
        switched_on = {name for name, on in zip(cube.names, active, strict=True) if on}
        assert values.keys() & set(cube.names) == switched_on
        back, lacks_nothing = cube.whole(np.array([cube.shares(values)]))
        assert lacks_nothing.all()
        assert back[0] == pytest.approx(point, abs=1e-9)


@few
@given(spaces(), SEEDS)
def test_a_trial_without_a_value_that_is_active_is_not_whole(
    document: dict[str, Any], seed: int
) -> None:
    """It was drawn from another range; what is switched off is not missed."""
    cube = UnitCube.of(SearchSpace.model_validate(document))
    points = some_points(cube, seed)
    active = cube.active(points)
    off = np.where(active, points, np.nan)
    assert cube.whole(off)[1].all()
    for place in range(len(cube)):
        lacking = points.copy()
        lacking[:, place] = np.nan
        assert not cube.whole(lacking)[1][active[:, place]].any()


def test_conditions_on_conditions() -> None:
    """Nesterov's coordinate counts where momentum does, and momentum's under sgd alone."""
    cube = UnitCube.of(SearchSpace.model_validate(CHAIN))
    sgd, momentum, nesterov = (cube.names.index(f"optimizer.{n}") for n in NAMES)
    point = np.full((4, len(cube)), 0.75)
    point[0, sgd], point[1, sgd] = 0.25, 0.25
    point[1, momentum] = 0.25
    active = cube.active(point)
    assert active[:, momentum].tolist() == [True, True, False, False]
    assert active[:, nesterov].tolist() == [True, False, False, False]
    assert cube.snap(point)[2, [momentum, nesterov]].tolist() == [MIDDLE, MIDDLE]


NAMES = ("name", "momentum", "nesterov")


def test_a_condition_on_a_number() -> None:
    """It holds at these whole numbers and at no other."""
    cube = UnitCube.of(SearchSpace.model_validate(CHAIN))
    rotate, colour = cube.names.index("augment.rotate"), cube.names.index("augment.colour")
    points = np.full((31, len(cube)), 0.25)
    points[:, rotate] = np.linspace(0, 1, 31)
    assert np.flatnonzero(cube.active(cube.snap(points))[:, colour]).tolist() == [0, 30]


def test_alternatives_have_a_coordinate_each() -> None:
    """Which one counts is said by the choice that they depend on."""
    cube = UnitCube.of(SearchSpace.model_validate({**SPACE}))
    assert {"optimizer.lr#0", "optimizer.lr#1"} <= set(cube.names)
    places = [cube.names.index(f"optimizer.lr#{index}") for index in (0, 1)]
    points = some_points(cube, 1, 50)
    assert (cube.active(points)[:, places].sum(axis=1) == 1).all()


def test_a_value_of_another_range_has_no_share() -> None:
    """Beyond a bound, off the grid, or not among the choices."""
    space = {"a.x": {"int": [0, 10], "step": 5}, "a.y": {"choice": ["one", "two"]}}
    cube = UnitCube.of(SearchSpace.model_validate(space))
    assert np.isnan(cube.shares({"a.x": 11, "a.y": "three"})).all()
    assert np.isnan(cube.shares({"a.x": 4})).all()
    assert cube.shares({"a.x": 5, "a.y": "two"}) == [0.5, 0.75]


def test_a_space_without_any_range_has_no_coordinates() -> None:
    """Its one point is a row of nothing."""
    cube = UnitCube.of(SearchSpace.model_validate({"a.x": {"choice": ["only"]}}))
    assert len(cube) == 0
    assert cube.snap(np.empty((3, 0))).shape == (3, 0)
    assert cube.values(np.empty(0)) == {}
