"""The distinct points of a search space, where it is finite."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from math import prod
from typing import Any

from tuner.spec.space import AnyDimension, Choice, Float, Params, SearchSpace, same


def values(dimension: AnyDimension) -> Iterable[Any]:
    """Every value that the dimension can take, rising or as listed.

    Raises:
        ValueError: a float range without step has no countable values.
    """
    if isinstance(dimension, Choice):
        return dimension.choice
    low, high = dimension.bounds
    if not isinstance(dimension, Float):
        return range(int(low), int(high) + 1, dimension.step)
    if dimension.step is None:
        raise ValueError(f"float range {low:g} to {high:g} has no step")
    step = dimension.step
    return (on_grid(low, step, k) for k in range(_steps(dimension) + 1))


def on_grid(low: float, step: float, count: int) -> float:
    """`low` and `count` steps, as one would write it: 0.3, not 0.30000000000000004."""
    return float(Decimal(str(low)) + count * Decimal(str(step)))


def as_drawn(dimension: AnyDimension, value: Any) -> Any:
    """A value that the dimension contains, exactly as a draw gives it."""
    if isinstance(dimension, Choice):
        return next(option for option in dimension.choice if same(option, value))
    if not isinstance(dimension, Float):
        return int(value)
    low, step = dimension.bounds[0], dimension.step
    return float(value) if step is None else on_grid(low, step, round((value - low) / step))


def endless(space: SearchSpace) -> tuple[tuple[str, int], ...]:
    """Path and position of every dimension whose values cannot be counted."""
    return tuple(
        (path, index)
        for path, index, dimension in space.dimensions()
        if isinstance(dimension, Float) and dimension.step is None
    )


def points(space: SearchSpace) -> Iterator[Params]:
    """Every point once, conditions respected, the last path varying fastest.

    Raises:
        ValueError: a float range without step has no countable points.
    """
    return walk(space, space.ordered, lambda path, dimension: values(dimension))


def size(space: SearchSpace, cap: int) -> int | None:
    """Number of distinct points, counted no further than `cap`; None if uncountable."""
    if endless(space):
        return None
    asked = {parent for _, _, dimension in space.dimensions() for parent in dimension.when}
    free = [p for p, (first, *_) in space.root.items() if not first.when and p not in asked]
    each = prod(_count(space.root[path][0]) for path in free)
    total = 0
    rest = [path for path in space.ordered if path not in free]
    for _ in walk(space, rest, lambda path, dimension: values(dimension)):
        total += each
        if total >= cap:
            return cap
    return total


def walk(
    space: SearchSpace,
    paths: Sequence[str],
    branches: Callable[[str, AnyDimension], Iterable[Any]],
    params: Params | None = None,
) -> Iterator[Params]:
    """Params of the paths, in their order, by what `branches` gives for each that is active.

    Conditions are respected, so that a path comes after those that its conditions ask for.
    """
    params = params or {}
    if not paths:
        yield params
        return
    active = space.active(paths[0], params)
    if active is None:
        yield from walk(space, paths[1:], branches, params)
        return
    for value in branches(paths[0], active[1]):
        yield from walk(space, paths[1:], branches, {**params, paths[0]: value})


def _count(dimension: AnyDimension) -> int:
    if isinstance(dimension, Choice):
        return len(dimension.choice)
    return _steps(dimension) + 1


def _steps(dimension: AnyDimension) -> int:
    """How many steps of a numeric grid fit between its bounds."""
    assert not isinstance(dimension, Choice)
    low, high, step = (Decimal(str(n)) for n in (*dimension.bounds, dimension.step))
    return int((high - low) // step)
