"""The Pareto front for a script: two metrics as axes, bounds as shaded ground, volume over time."""

from dataclasses import dataclass

from api.dashboard.charts.sample import columns, representative, short
from tuner.errors import InvalidInput, Problem
from tuner.service.charts.front import FrontTrial, StudyFront
from tuner.spec.hints import nearest

MOST = 1500  # trials that are drawn beside those on the front


@dataclass(frozen=True, slots=True)
class AxisData:
    """A metric of the front: where it is better, and within which bounds a trial is feasible."""

    metric: str
    better_high: bool | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class FrontData:
    """Trials over two metrics, of each a cell in every column; `roles` are front, behind, broken.

    `stairs` is whether the axes are the study's only two objectives, so that between two trials of
    the front nothing better is known.
    """

    across: AxisData
    up: AxisData
    stairs: bool
    trials: tuple[object, ...]
    xs: tuple[object, ...]
    ys: tuple[object, ...]
    roles: tuple[object, ...]
    why: tuple[object, ...]
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class VolumeData:
    """Where the hypervolume rose: at how many completed trials, by which trial, and to what."""

    count: int
    places: tuple[object, ...]
    volumes: tuple[object, ...]
    trials: tuple[object, ...]


def axes_of(found: StudyFront, across: str | None, up: str | None) -> tuple[str, str]:
    """The metrics of both axes, the second and the first objective unless chosen.

    Raises:
        InvalidInput: the study asks for no metric of that name.
    """
    for place, name in (("across", across), ("up", up)):
        if name and name not in found.axes:
            message = f"no objective or constraint is on '{name}'; {nearest(name, found.axes)}"
            raise InvalidInput([Problem((place,), message)])
    first, second = (found.axes[0], found.axes[1])
    return across or (second if up != second else first), up or (
        first if across != first else second
    )


def front_data(found: StudyFront, *, across: str | None, up: str | None) -> FrontData:
    """The front for a script."""
    x, y = axes_of(found, across, up)
    on_front = {step.trial for step in found.view.steps if step.on_front}
    there = [one for one in found.outcomes if x in one.metrics and y in one.metrics]
    kept = set(representative([one.metrics[y] for one in there], MOST))
    rows = [
        (
            one.trial,
            short(one.metrics[x]),
            short(one.metrics[y]),
            _role(one, on_front),
            one.broken,
            tuple(short(one.metrics.get(name)) for name in found.axes),
        )
        for place, one in enumerate(there)
        if place in kept or one.trial in on_front
    ]
    trials, xs, ys, roles, why, values = columns(rows, 6)
    return FrontData(
        across=_axis(found, x),
        up=_axis(found, y),
        stairs=len(found.objectives) == 2 and {x, y} == {one.metric for one in found.objectives},
        trials=trials,
        xs=xs,
        ys=ys,
        roles=roles,
        why=why,
        values=values,
    )


def volume_data(found: StudyFront) -> VolumeData:
    """The hypervolume for a script: each rise, in the order of ending."""
    rows: list[tuple[int, float | None, int]] = []
    reached = -1.0
    for place, step in enumerate(found.view.steps, start=1):
        if step.hypervolume > reached:
            rows.append((place, short(step.hypervolume), step.trial))
            reached = step.hypervolume
    places, volumes, trials = columns(rows, 3)
    return VolumeData(len(found.view.steps), places, volumes, trials)


def _role(one: FrontTrial, on_front: set[int]) -> str:
    if not one.is_feasible:
        return "broken"
    return "front" if one.trial in on_front else "behind"


def _axis(found: StudyFront, metric: str) -> AxisData:
    objective = next((one for one in found.objectives if one.metric == metric), None)
    bounds = [one for one in found.constraints if one.metric == metric]
    return AxisData(
        metric=metric,
        better_high=None if objective is None else objective.direction == "maximize",
        low=max((one.min for one in bounds if one.min is not None), default=None),
        high=min((one.max for one in bounds if one.max is not None), default=None),
    )
