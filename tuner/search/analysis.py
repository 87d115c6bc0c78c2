"""What a study has found so far: pure functions of observations."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf, isfinite

from tuner.search.learning_curve import LearningCurve
from tuner.search.observation import Observation, by_number
from tuner.spec.states import TrialState
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


def is_feasible(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> bool:
    """Whether every constraint is kept."""
    return not any(violations(constraints, metrics))


def best_trial(
    observations: Iterable[Observation], objectives: Sequence[Objective]
) -> Observation | None:
    """The best feasible completed trial by the first objective; the earliest of equals."""
    candidates = contenders(observations, objectives)
    return min(candidates, key=lambda c: objectives[0].key(_values(c)[0]), default=None)


def contenders(
    observations: Iterable[Observation], objectives: Sequence[Objective]
) -> list[Observation]:
    """Completed feasible trials with a finite value for every objective, by number."""
    return [
        seen
        for seen in by_number(observations)
        if seen.state is TrialState.COMPLETED
        and len(_values(seen)) == len(objectives)
        and all(isfinite(value) for value in _values(seen))
        and not any(violation > 0 for violation in seen.constraints)
    ]


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


def history(
    observations: Iterable[Observation], objectives: Sequence[Objective]
) -> tuple[tuple[int, float], ...]:
    """Number and value of each trial that was the best of all up to it."""
    steps: list[tuple[int, float]] = []
    for seen in contenders(observations, objectives):
        value = _values(seen)[0]
        if not steps or objectives[0].is_better(value, steps[-1][1]):
            steps.append((seen.number, value))
    return tuple(steps)


def epochs_spent(curves: Iterable[LearningCurve]) -> int:
    """Epochs that were trained and reported."""
    return sum(max(curve.values, default=0) for curve in curves)


def epochs_saved(curves: Iterable[LearningCurve], epochs: int) -> int:
    """Epochs of a full budget that pruned trials did not need."""
    return sum(
        max(0, epochs - max(curve.values, default=0))
        for curve in curves
        if curve.state is TrialState.PRUNED
    )


def _values(seen: Observation) -> tuple[float, ...]:
    return seen.values or ()


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other
