"""Colours of values from worse to better, and which trials count as having a value."""

from collections.abc import Sequence
from typing import Literal

from api.dashboard.charts.axes import Axis, robust
from api.dashboard.charts.dimensions import WHOLE
from tuner.service.trial_points import StudyPoints, TrialPoint
from tuner.spec.states import TrialState
from tuner.spec.study import Objective

AmongTrials = Literal["completed", "trained"]
SHADES = 8  # classes v0 (worse) to v7 (better) of the style sheet
_ENOUGH = 5  # completed trials, with fewer all that were trained are shown


def chosen(points: StudyPoints, among: AmongTrials | None) -> tuple[AmongTrials, list[TrialPoint]]:
    """Trials with a value: those that completed, or all that were trained; None: what there is."""
    known = [one for one in points.trials if one.value is not None]
    completed = [one for one in known if one.state is TrialState.COMPLETED]
    if among is None:
        among = "completed" if len(completed) >= min(_ENOUGH, len(known)) else "trained"
    return among, completed if among == "completed" else known


def best_of(trials: Sequence[TrialPoint], objective: Objective) -> TrialPoint | None:
    """The trial with the best value that breaks no constraint, the earlier of equal ones."""
    feasible = [one for one in trials if one.value is not None and one.feasible is not False]
    return min(
        feasible, key=lambda one: (objective.key(one.value or 0.0), one.number), default=None
    )


def value_axis(trials: Sequence[TrialPoint], objective: Objective) -> Axis:
    """The axis of their values, without the far tail of failures."""
    values = [one.value for one in trials if one.value is not None]
    return robust(values, better_high=objective.direction == "maximize")


def goodness(value: float, axis: Axis, objective: Objective) -> float:
    """How good a value is on an axis: 0 at its worse end, 1 at its better one."""
    share = axis.position(value)
    return share if objective.direction == "maximize" else 1 - share


def shade(share: float) -> str:
    """The class of a goodness."""
    return f"v{min(SHADES - 1, int(share * SHADES))}"


def whole(share: float | None) -> int | None:
    """A place between 0 and 1 as a whole number."""
    return None if share is None else round(share * WHOLE)


def sample(trials: Sequence[TrialPoint], limit: int, best: TrialPoint | None) -> list[TrialPoint]:
    """An even sample of about `limit` trials by number, the best always among them."""
    stride = max(1, -(-len(trials) // limit)) if limit else 0
    return [
        one
        for index, one in enumerate(trials, start=1)
        if (stride and index % stride == 0) or (best is not None and one.number == best.number)
    ]
