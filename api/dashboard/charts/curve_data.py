"""Learning curves for a script: over epochs, images or time; smoothed; thinned to the screen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from api.dashboard.charts.axes import trimmed
from api.dashboard.charts.curves import Line, Role, weight
from api.dashboard.charts.sample import short
from api.dashboard.charts.thin import thin
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.service.charts.curves import StudyCurves, TrialCurve
from tuner.spec.metrics import SUMMARIES, split_metric
from tuner.spec.states import TrialState

MOST_POINTS = 30_000  # of all lines together
_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class LineData:
    """One trial's line, as the places and the heights of its points."""

    trial: int
    state: TrialState
    role: Role
    params: str
    xs: tuple[float | None, ...]
    ys: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class PlacedCurve:
    """One trial's line before it is thinned; `steps` are places on whatever axis."""

    trial: int
    state: TrialState
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CurvesData:
    """Lines in drawing order; of faint ones a hundredth may be beyond `low` and `high`."""

    metric: str
    over: str
    log: bool
    smooth: float
    better_high: bool
    total: int
    low: float
    high: float
    across: float
    lines: tuple[LineData, ...]


def curves_data(
    found: StudyCurves, *, over: str, smooth: float, scale: str | None, points: int
) -> CurvesData:
    """The curves as they are drawn, each of about `points` points."""
    each = max(20, min(points, MOST_POINTS // max(len(found.curves), 1)))
    lines = sorted(
        (
            Line(curve.trial, curve.state, role(curve, found.best), thin(drawn, each))
            for curve in found.curves
            if (drawn := smoothed(placed(curve, over), smooth))
        ),
        key=weight,
    )
    values = [value for line in lines for _, value in line.points]
    axis = trimmed(values)
    strong = [value for line in lines if line.role != "ended" for _, value in line.points]
    places = [line.points[-1][0] for line in lines]
    is_log = takes_log(found.metric, scale) and min(values, default=0.0) > 0
    params = {curve.trial: curve.params for curve in found.curves}
    return CurvesData(
        metric=found.metric,
        over=over,
        log=is_log,
        smooth=smooth,
        better_high=found.objective.direction == "maximize",
        total=found.total,
        low=min([axis.low, *strong]),
        high=max([axis.high, *strong]),
        across=max([*places, float(found.epochs) if over == "epoch" else 0.0]),
        lines=tuple(
            LineData(
                line.trial,
                line.state,
                line.role,
                wording.params(params[line.trial]),
                tuple(short(x) for x, _ in line.points),
                tuple(short(y) for _, y in line.points),
            )
            for line in lines
        ),
    )


def placed_curves(found: StudyCurves, *, over: str, smooth: float) -> list[PlacedCurve]:
    """The curves on their axis, for the drawing without a script."""
    return [
        PlacedCurve(
            curve.trial, curve.state, tuple(x for x, _ in drawn), tuple(y for _, y in drawn)
        )
        for curve in found.curves
        if (drawn := smoothed(placed(curve, over), smooth))
    ]


def metric_groups(found: StudyCurves) -> dict[str, list[str]]:
    """The metrics that can be drawn, by what they are about, the objective first."""
    groups: dict[str, list[str]] = {"": [found.objective.metric]}
    for name in found.metrics:
        if name == found.objective.metric or name == "images":
            continue
        measure, what = split_metric(name)
        is_class = measure is not None and what not in {"", "worst"}
        is_result = name in SUMMARIES or measure is not None
        group = _("Classes") if is_class else _("Results") if is_result else _("Training")
        groups.setdefault(group, []).append(name)
    if all(found.metric not in names for names in groups.values()):
        groups[""].append(found.metric)
    return groups


def role(curve: TrialCurve, best: int | None) -> Role:
    """How a line is drawn."""
    if curve.state is TrialState.RUNNING:
        return "running"
    return "best" if curve.trial == best else "ended"


def placed(curve: TrialCurve, over: str) -> list[tuple[int, float, float]]:
    """Step, place on the axis and value of each finite point that has a place."""
    places: Sequence[float | None] = {
        "epoch": curve.steps,
        "images": curve.images,
        "time": curve.seconds,
    }[over]
    return [
        (step, float(place), value)
        for step, place, value in zip(curve.steps, places, curve.values, strict=True)
        if place is not None and math.isfinite(place) and math.isfinite(value)
    ]


def smoothed(points: Sequence[tuple[int, float, float]], weight: float) -> tuple[_Point, ...]:
    """Place and moving average of each point: what is one step older counts `weight` times as much.

    Steps that were not reported age what stands before them as much as others do, so that the
    average does not depend on how often a trial reports. Divided by the weights that there are
    (Kingma and Ba 2015), it does not begin at 0.
    """
    found: list[_Point] = []
    total = average = 0.0
    before = None
    for step, place, value in points:
        kept = 0.0 if before is None else weight ** (step - before)
        total = total * kept + 1.0
        average += (value - average) / total
        found.append((place, average))
        before = step
    return tuple(found)


def takes_log(metric: str, scale: str | None) -> bool:
    """Whether the axis is logarithmic: as asked for, else for losses and learning rates."""
    return scale == "log" if scale else "loss" in metric or metric == "lr"
