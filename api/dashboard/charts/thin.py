"""Curves as a screen can show them: thinned without losing an extreme, and smoothed; pure."""

from collections.abc import Sequence

Points = tuple[tuple[float, float], ...]  # place and value


def thin(points: Sequence[tuple[float, float]], limit: int) -> Points:
    """At most about `limit` of the points, in order: the ends, and of each stretch its extremes.

    So the drawn curve reaches as high and as low as the whole one wherever the screen could tell.
    """
    if len(points) <= max(limit, 2):
        return tuple(points)
    buckets = max(1, (limit - 2) // 2)
    inner = len(points) - 2
    kept = [points[0]]
    for bucket in range(buckets):
        start, end = 1 + bucket * inner // buckets, 1 + (bucket + 1) * inner // buckets
        stretch = range(start, end)
        low = min(stretch, key=lambda index: points[index][1])
        high = max(stretch, key=lambda index: points[index][1])
        kept += [points[index] for index in sorted({low, high})]
    return (*kept, points[-1])


def smooth(points: Sequence[tuple[float, float]], weight: float) -> Points:
    """Exponential moving average, each value with `weight` of those before it; 0 changes nothing.

    Its early values are divided by the weight that they really have (Kingma and Ba 2015), so that
    a curve does not begin at 0.
    """
    found, average, total = list[tuple[float, float]](), 0.0, 0.0
    for place, value in points:
        average = average * weight + value * (1 - weight)
        total = total * weight + (1 - weight)
        found.append((place, average / total))
    return tuple(found)
