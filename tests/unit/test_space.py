"""The search space checks itself and keeps its meaning on the way through JSON and YAML."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from pydantic import ValidationError

from tests.unit.samples import SPACE, few, spaces
from tuner.spec.space import Choice, Float, Int, SearchSpace, same


@few
@given(spaces())
def test_a_space_survives_json(document: dict[str, Any]) -> None:
    """Dumping a space and reading it again gives the same space."""
    space = SearchSpace.model_validate(document)
    assert SearchSpace.model_validate(json.loads(json.dumps(space.model_dump()))) == space


@few
@given(spaces())
def test_a_space_survives_yaml(document: dict[str, Any]) -> None:
    """A space written as YAML is the space that was meant."""
    space = SearchSpace.model_validate(document)
    text = yaml.safe_dump(space.model_dump(mode="json"))
    assert SearchSpace.model_validate(yaml.safe_load(text)) == space


@few
@given(spaces())
def test_conditions_stand_before_what_depends_on_them(document: dict[str, Any]) -> None:
    """The order of drawing puts every condition before its dependants."""
    space = SearchSpace.model_validate(document)
    order = space.ordered
    assert all(
        order.index(asked) < order.index(path)
        for path, _, dimension in space.dimensions()
        for asked in dimension.when
    )


def test_at_most_one_alternative_is_active() -> None:
    """The drawn optimizer decides which learning rate range applies."""
    space = SearchSpace.model_validate(SPACE)
    active = space.active("optimizer.lr", {"optimizer.name": "adamw"})
    assert active is not None
    assert active[0] == 1


def test_a_dimension_without_its_condition_is_not_drawn() -> None:
    """As long as the optimizer is unknown, no learning rate range applies."""
    assert SearchSpace.model_validate(SPACE).active("optimizer.lr", {}) is None


def test_true_is_not_one() -> None:
    """A condition on `true` does not hold for 1."""
    assert not same(True, 1)
    assert same(1, 1.0)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"a.b": {"float": [2, 1]}}, "low 2 must be below high 1"),
        ({"a.b": {"float": [0, 1], "log": True}}, "starts above 0"),
        ({"a.b": {"float": [1, 2], "log": True, "step": 0.1}}, "exclude each other"),
        ({"a.b": {"float": [1, 2], "step": 3}}, "wider than the range"),
        ({"a.b": {"int": [1, 1]}}, "low 1 must be below high 1"),
        ({"a.b": {"choice": []}}, "at least 1 item"),
        ({"a.b": {"choice": [1, 1.0]}}, "twice"),
        ({"a.b": {"float": [1, 2], "int": [1, 2]}}, "a range is one of"),
        ({"a.b": {"flaot": [1, 2]}}, "a range is one of"),
        ({"a.b": []}, "at least 1 item"),
        ({"a.b": {"int": [1, 2], "when": {"c.d": 1}}}, "which is not searched"),
        ({"a.b": {"int": [1, 2], "when": {"a.c": 9}}, "a.c": {"int": [1, 3]}}, "never drawn"),
        ({"a": {"int": [1, 2]}, "a.b": {"int": [1, 2]}}, "overlap"),
        ({"a.b": [{"int": [1, 2]}, {"int": [3, 4]}]}, "active at once"),
        (
            {
                "a.b": {"int": [1, 2], "when": {"a.c": 1}},
                "a.c": {"int": [1, 2], "when": {"a.b": 1}},
            },
            "round in a circle",
        ),
    ],
)
def test_an_impossible_space_is_refused(space: dict[str, Any], message: str) -> None:
    """Each mistake that a space can see in itself is named."""
    with pytest.raises(ValidationError, match=message):
        SearchSpace.model_validate(space)


def test_a_stepped_float_contains_its_grid_only() -> None:
    """0.3 lies on a grid of 0.1, also where binary fractions do not; 0.35 does not."""
    dimension = Float.model_validate({"float": [0.1, 0.9], "step": 0.1})
    assert dimension.contains(0.1 + 0.2)
    assert not dimension.contains(0.35)


def test_a_whole_number_may_be_written_as_a_float() -> None:
    """5.0 lies in a range of whole numbers, 5.5 and true do not."""
    dimension = Int.model_validate({"int": [0, 30]})
    assert dimension.contains(5.0)
    assert not dimension.contains(5.5)
    assert not dimension.contains(True)


def test_a_choice_of_lists_contains_them() -> None:
    """Lists are values as others are."""
    assert Choice(choice=([0.5, 2.0], [1.0, 1.0])).contains([0.5, 2.0])
