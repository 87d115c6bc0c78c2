"""Our params as Optuna knows them: one Optuna name and distribution per alternative of a path.

A path with one dimension keeps its name; alternatives are distinguished by their position
(`optimizer.lr#0`, `optimizer.lr#1`), because Optuna allows one distribution per name. Choices that
Optuna cannot hold (lists) or cannot tell apart (1 and true) become their JSON text.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tuner.spec.grid import as_drawn, on_grid
from tuner.spec.space import AnyDimension, Choice, Float, Params, SearchSpace, same


def optuna_name(space: SearchSpace, path: str, index: int) -> str:
    """Optuna's name for one alternative of a path."""
    return path if len(space.root[path]) == 1 else f"{path}#{index}"


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Every dimension of the space by its Optuna name, conditions first."""
    return {
        optuna_name(space, path, index): distribution(dimension)
        for path, index, dimension in space.dimensions()
    }


def varying(space: SearchSpace) -> dict[str, BaseDistribution]:
    """The dimensions that have more than one value, in the order of their Optuna names."""
    found = sorted(distributions(space).items())
    return {name: distribution for name, distribution in found if not distribution.single()}


def distribution(dimension: AnyDimension) -> BaseDistribution:
    """One dimension as an Optuna distribution, whose grid ends on its high bound."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(_labels(dimension))
    low, high = dimension.bounds
    if isinstance(dimension, Float):
        if dimension.step is not None:
            high = _last_on_grid(low, high, dimension.step)
        return FloatDistribution(low, high, log=dimension.log, step=dimension.step)
    high = low + (high - low) // dimension.step * dimension.step
    return IntDistribution(int(low), int(high), log=dimension.log, step=dimension.step)


def encode(
    space: SearchSpace,
    params: Mapping[str, Any],
    *,
    known: Mapping[str, BaseDistribution] | None = None,
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """Params by path as Optuna params with their distributions.

    What lies outside of the space has no distribution and is left out. `known` may hold
    `distributions(space)`, for callers that encode many trials.
    """
    values: dict[str, Any] = {}
    found: dict[str, BaseDistribution] = {}
    for path in space.ordered:
        active = space.active(path, params) if path in params else None
        if active is None or not active[1].contains(params[path]):
            continue
        name = optuna_name(space, path, active[0])
        found[name] = known[name] if known else distribution(active[1])
        values[name] = to_optuna(active[1], params[path])
    return values, found


def decode(space: SearchSpace, values: Mapping[str, Any]) -> Params:
    """Optuna params as params by path; names that the space does not know are left out."""
    params: Params = {}
    for path, index, dimension in space.dimensions():
        name = optuna_name(space, path, index)
        if name in values:
            params[path] = from_optuna(dimension, values[name])
    return params


def to_optuna(dimension: AnyDimension, value: Any) -> Any:
    """One value of the dimension as Optuna stores it."""
    if isinstance(dimension, Choice):
        position = next(i for i, option in enumerate(dimension.choice) if same(option, value))
        return _labels(dimension)[position]
    return float(value) if isinstance(dimension, Float) else int(value)


def from_optuna(dimension: AnyDimension, value: Any) -> Any:
    """One value that Optuna gave, as the dimension means it."""
    if isinstance(dimension, Choice):
        return dimension.choice[_labels(dimension).index(value)]
    return as_drawn(dimension, value)


def _labels(dimension: Choice) -> list[Any]:
    labels = [json.dumps(v) if isinstance(v, list) else v for v in dimension.choice]
    if any(a == b for i, a in enumerate(labels) for b in labels[:i]):
        return [json.dumps(value) for value in dimension.choice]
    return labels


def _last_on_grid(low: float, high: float, step: float) -> float:
    start, end, width = (Decimal(str(number)) for number in (low, high, step))
    return on_grid(low, step, int((end - start) // width))
