"""The trials of several objectives that are worth a confirmation."""

from collections.abc import Sequence

from tuner.search.analysis import pareto_front
from tuner.search.hypervolume import Point, hypervolume
from tuner.spec.study import Objective

_MARGIN = 0.1  # of the range beyond the worst value: without it the ends of a front add nothing


def leaders(
    values: Sequence[Sequence[float]], objectives: Sequence[Objective], count: int
) -> tuple[int, ...]:
    """Positions of at most `count` values that tell most of the front, in order of choice.

    The best by the first objective comes first, then always the one that adds most to the
    hypervolume of those before it. When a front is used up, the next one behind it follows.
    """
    keys = [
        tuple(objective.key(value) for objective, value in zip(objectives, row, strict=True))
        for row in values
    ]
    left, chosen = list(range(len(keys))), list[int]()
    corner = _corner(keys)
    while left and len(chosen) < count:
        front = [left[at] for at in pareto_front([values[index] for index in left], objectives)]
        if not front:
            break
        chosen += _spread([keys[index] for index in front], front, corner, count - len(chosen))
        left = [index for index in left if index not in set(front)]
    return tuple(chosen)


def _corner(keys: Sequence[Point]) -> Point:
    """A point that is worse than all of them."""
    return tuple(
        max(column) + _MARGIN * ((max(column) - min(column)) or 1.0)
        for column in zip(*keys, strict=True)
    )


def _spread(keys: Sequence[Point], names: Sequence[int], corner: Point, count: int) -> list[int]:
    """Names of the first by the first objective, and of those that add most to it."""
    order = sorted(range(len(keys)), key=lambda place: (keys[place], names[place]))
    chosen = [order.pop(0)]
    while order and len(chosen) < count:
        known = [keys[place] for place in chosen]
        # Of equal ones max gives the first, the earliest.
        best = max(
            sorted(order, key=lambda place: names[place]),
            key=lambda place: hypervolume([*known, keys[place]], corner),
        )
        order.remove(best)
        chosen.append(best)
    return [names[place] for place in chosen]
