"""A search space for tuners that know no conditions: every alternative is a dimension of its own.

What is drawn for an alternative that is not active is ignored.
"""

from collections.abc import Mapping
from typing import Any

from tuner.optuna_encoding import from_optuna, optuna_name, to_optuna
from tuner.spec.space import AnyDimension, Choice, Float, Int, Params, SearchSpace


def dimensions(space: SearchSpace) -> dict[str, AnyDimension]:
    """Each alternative by a name that is a word."""
    return {
        _word(optuna_name(space, path, index)): dimension
        for path, index, dimension in space.dimensions()
    }


def labels(dimension: Choice) -> list[Any]:
    """Values of a choice as every tuner can hold them."""
    return [to_optuna(dimension, value) for value in dimension.choice]


def decode(space: SearchSpace, values: Mapping[str, Any]) -> Params:
    """The params that are active, from a value for every name."""
    params: Params = {}
    for path in space.ordered:
        active = space.active(path, params)
        if active is not None:
            index, dimension = active
            value = values[_word(optuna_name(space, path, index))]
            value = round(value) if isinstance(dimension, Int) else value
            params[path] = _inside(dimension, from_optuna(dimension, value))
    return params


def _word(name: str) -> str:
    return name.replace(".", "__").replace("#", "__")


def _inside(dimension: AnyDimension, value: Any) -> Any:
    """The value within its range: logarithms and back may leave it by a last digit."""
    if not isinstance(dimension, Float):
        return value
    low, high = dimension.bounds
    return min(max(value, low), high)
