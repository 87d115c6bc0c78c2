"""Hypervolume: how much of the space of objectives a front dominates, up to a reference point.

Values are keys of which less is better. Exact, by exclusive contributions (While, Bradstreet &
Barone 2012, "A fast way of calculating exact hypervolumes").
"""

from collections.abc import Sequence
from math import prod

Point = tuple[float, ...]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume that the points dominate below the reference; what lies beyond it adds nothing."""
    inside = [
        point for point in points if all(a < b for a, b in zip(point, reference, strict=True))
    ]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(inside)[0]
    if len(reference) == 2:
        return _area(inside, reference)
    front = sorted(without_dominated(inside), reverse=True)
    return sum(contribution(p, front[i + 1 :], reference) for i, p in enumerate(front))


def contribution(point: Point, others: Sequence[Point], reference: Point) -> float:
    """Volume that only this point dominates."""
    if any(a >= b for a, b in zip(point, reference, strict=True)):
        return 0.0
    box = prod(b - a for a, b in zip(point, reference, strict=True))
    limited = [tuple(map(max, point, other)) for other in others]
    return max(0.0, box - hypervolume(without_dominated(limited), reference))


def without_dominated(points: Sequence[Point]) -> list[Point]:
    """The points that no other one is at least as good as in everything, each once."""
    kept: list[Point] = []
    for point in sorted(set(points)):
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    return kept


def _area(points: Sequence[Point], reference: Point) -> float:
    """The area below the reference of a staircase, summed from left to right."""
    area, ceiling = 0.0, reference[1]
    for x, y in sorted(points):
        if y < ceiling:
            area += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return area


def history(points: Sequence[Point], reference: Point) -> list[float]:
    """The hypervolume after each point, in the order given; it never falls."""
    front: list[Point] = []
    volume, volumes = 0.0, list[float]()
    for point in points:
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in front):
            volume += contribution(point, front, reference)
            front = [o for o in front if any(a < b for a, b in zip(o, point, strict=True))]
            front.append(point)
        volumes.append(volume)
    return volumes
