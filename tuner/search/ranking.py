"""Several objectives as one: a trial's rank among those that reached the same step."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import inf, isfinite, nan

from tuner.search.analysis import pareto_front
from tuner.search.learning_curve import LearningCurve
from tuner.spec.study import Objective


def ranked(
    curves: Sequence[LearningCurve], objectives: Sequence[Objective], steps: Iterable[int]
) -> list[LearningCurve]:
    """Curves whose value at each of the steps is the rank among all that have reached it.

    The rank is the number of the non-dominated front, from 0 (Deb et al. 2002); within a front
    the fraction grows with nearness to its other members, so that the ends and gaps are kept.
    What is not a number in some objective has no rank.
    """
    found: dict[int, dict[int, float]] = {curve.number: {} for curve in curves}
    for step in steps:
        there = [curve for curve in curves if step in curve.values]
        ranks = _ranks([curve.vector(step) for curve in there], objectives)
        for curve, rank in zip(there, ranks, strict=True):
            found[curve.number][step] = rank
    return [replace(curve, values=found[curve.number], others={}) for curve in curves]


def _ranks(vectors: Sequence[Sequence[float]], objectives: Sequence[Objective]) -> list[float]:
    ranks = [nan] * len(vectors)
    left = [
        index
        for index, row in enumerate(vectors)
        if len(row) == len(objectives) and all(isfinite(value) for value in row)
    ]
    front = 0
    while left:
        found = [left[at] for at in pareto_front([vectors[index] for index in left], objectives)]
        crowding = _crowding([vectors[index] for index in found])
        order = sorted(zip(found, crowding, strict=True), key=lambda item: -item[1])
        for place, (index, _) in enumerate(order):
            ranks[index] = front + place / len(order)
        kept = set(found)
        left = [index for index in left if index not in kept]
        front += 1
    return ranks


def _crowding(rows: Sequence[Sequence[float]]) -> list[float]:
    """Crowding distance of each row in its front; infinite at the ends of an objective."""
    distance = [0.0] * len(rows)
    for column in zip(*rows, strict=True):
        order = sorted(range(len(rows)), key=lambda index: column[index])
        span = (column[order[-1]] - column[order[0]]) or 1.0
        distance[order[0]] = distance[order[-1]] = inf
        for before, index, after in zip(order, order[1:], order[2:], strict=False):
            distance[index] += (column[after] - column[before]) / span
    return distance
