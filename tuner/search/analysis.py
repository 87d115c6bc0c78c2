"""What values say of trials: which keep the constraints, which no other one beats."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite

from tuner.spec.metrics import MEASURED
from tuner.spec.study import Constraint, Objective


def violations(
    constraints: Sequence[Constraint], metrics: Mapping[str, float]
) -> tuple[float, ...]:
    """How far each constraint is missed; infinite where the metric is missing or no number."""
    found = []
    for constraint in constraints:
        value = metrics.get(constraint.metric, inf)
        found.append(constraint.violation(value) if isfinite(value) else inf)
    return tuple(found)


def known_violations(
    constraints: Sequence[Constraint], metrics: Mapping[str, float]
) -> tuple[float, ...]:
    """How far a network misses each bound whatever it learns; 0 where only training could tell."""
    return tuple(
        constraint.violation(metrics[constraint.metric])
        if constraint.metric in MEASURED and constraint.metric in metrics
        else 0.0
        for constraint in constraints
    )


def is_feasible(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> bool:
    """Whether every constraint is kept."""
    return not any(violations(constraints, metrics))


def pareto_front(
    values: Sequence[Sequence[float]], objectives: Sequence[Objective]
) -> tuple[int, ...]:
    """Positions of the values that no other one beats in all objectives, rising.

    Equal values are all kept; what is not a finite number is never on the front.
    """
    keys = [
        tuple(objective.key(v) for objective, v in zip(objectives, row, strict=True))
        for row in values
    ]
    finite = [index for index, key in enumerate(keys) if all(isfinite(part) for part in key)]
    front: list[int] = []
    # In rising order a row can only be beaten by one before it, so the front is enough to ask.
    for index in sorted(finite, key=lambda position: keys[position]):
        if not any(_dominates(keys[other], keys[index]) for other in front):
            front.append(index)
    return tuple(sorted(front))


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other
