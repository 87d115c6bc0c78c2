"""The points of a finite space: all of them, each once."""

from typing import Any

import pytest
from hypothesis import assume, given

from tests.unit.samples import SPACE, few, spaces
from tuner.spec.grid import endless, points, size, values
from tuner.spec.space import Float, SearchSpace


@few
@given(spaces())
def test_the_count_is_the_number_of_distinct_points(document: dict[str, Any]) -> None:
    """Counting without listing gives what listing gives."""
    space = SearchSpace.model_validate(document)
    assume(not endless(space))
    count = size(space, 3_000)
    assume(count is not None and count < 3_000)
    listed = list(points(space))
    assert len(listed) == count
    assert len({repr(sorted(point.items())) for point in listed}) == count


@few
@given(spaces())
def test_every_point_lies_in_the_space(document: dict[str, Any]) -> None:
    """A point has a value for exactly the active dimensions, each within its range."""
    space = SearchSpace.model_validate(document)
    assume(not endless(space))
    assume((size(space, 501) or 0) <= 500)
    for point in points(space):
        for path in space.root:
            active = space.active(path, point)
            assert (path in point) == (active is not None)
            assert active is None or active[1].contains(point[path])


def test_counting_stops_at_the_cap() -> None:
    """A huge space is counted no further than asked."""
    space = SearchSpace.model_validate({"a.b": {"int": [0, 10**12]}, "a.c": {"int": [0, 10**12]}})
    assert size(space, 50) == 50


def test_a_real_range_is_endless() -> None:
    """Float ranges without step are named with path and position."""
    space = SearchSpace.model_validate(SPACE)
    assert endless(space) == (
        ("optimizer.weight_decay", 0),
        ("optimizer.lr", 0),
        ("optimizer.lr", 1),
    )
    assert size(space, 10) is None
    with pytest.raises(ValueError, match="no step"):
        next(points(space))


def test_a_decimal_grid_reads_as_it_was_written() -> None:
    """0.1 to 0.5 by 0.1 has 0.3 on it, not 0.30000000000000004."""
    dimension = Float.model_validate({"float": [0.1, 0.5], "step": 0.1})
    assert list(values(dimension)) == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_inactive_params_multiply_nothing() -> None:
    """Momentum counts under sgd only."""
    space = SearchSpace.model_validate(
        {
            "optimizer.name": {"choice": ["sgd", "adamw"]},
            "optimizer.momentum": {"choice": [0.0, 0.9], "when": {"optimizer.name": "sgd"}},
        }
    )
    assert size(space, 100) == 3
