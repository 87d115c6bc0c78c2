"""Slices: the value over each param by itself, trials shaded by when they were drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.axes import Axis
from api.dashboard.charts.dimensions import MISSING, ParamAxis, param_axes, scattered
from api.dashboard.charts.effects import by_effect
from api.dashboard.charts.frame import chart, grid_of
from api.dashboard.charts.sequential import (
    SHADES,
    AmongTrials,
    best_of,
    chosen,
    sample,
    value_axis,
)
from api.dashboard.charts.svg import element, percent
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.service.trial_points import StudyPoints

TRIALS, DRAWN = 600, 90  # in the interactive chart; as SVG, in each panel
PANELS = 12


@dataclass(frozen=True, slots=True)
class SlicePanel:
    """One param: where each trial lies on its axis, in the order of the chart's trials."""

    axis: ParamAxis
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SliceChart:
    """Panels side by side over the same trials, which stand by number."""

    metric: str
    direction: str
    among: AmongTrials
    y: Axis
    numbers: tuple[int, ...]
    values: tuple[float, ...]
    states: tuple[str, ...]
    panels: tuple[SlicePanel, ...]
    hidden: int
    matching: int
    best: int | None
    last: int


def fold_slices(
    points: StudyPoints,
    *,
    asked: Sequence[str] = (),
    among: AmongTrials | None = None,
    limit: int = TRIALS,
) -> SliceChart:
    """An even sample of the trials that match, the best among them, over the params that matter."""
    among, trials = chosen(points, among)
    inside = [one for one in trials if one.matches]
    best = best_of(inside, points.objective)
    known = param_axes(points.space, [one.params for one in inside])
    order = [path for path in dict.fromkeys(asked) if path in known] or by_effect(inside, known)
    kept = sample(inside, limit, best)
    panels = tuple(
        SlicePanel(
            known[path], tuple(scattered(known[path], one.params, one.number) for one in kept)
        )
        for path in order[:PANELS]
    )
    return SliceChart(
        metric=points.objective.metric,
        direction=points.objective.direction,
        among=among,
        y=value_axis(inside, points.objective),
        numbers=tuple(one.number for one in kept),
        values=tuple(float(f"{one.value:.6g}") for one in kept),
        states=tuple(one.state.value for one in kept),
        panels=panels,
        hidden=len(known) - len(panels),
        matching=len(inside),
        best=best.number if best else None,
        last=max((one.number for one in inside), default=0),
    )


def draw_slice(folded: SliceChart, panel: SlicePanel) -> Markup:
    """A dot per trial, later ones stronger."""
    stride = max(1, -(-len(folded.numbers) // DRAWN))
    marks = [
        _mark(folded, panel, index)
        for index, number in enumerate(folded.numbers)
        if index % stride == 0 or number == folded.best
    ]
    return chart(
        grid_of(across(panel.axis), folded.y),
        *marks,
        label=_("%(metric)s over %(param)s of %(trials)s")
        % {
            "metric": folded.metric,
            "param": panel.axis.path,
            "trials": spoken.quantity(folded.matching, "trial"),
        },
    )


def across(axis: ParamAxis) -> tuple[tuple[float, str], ...]:
    """Ticks over the width of a plot, the place of trials without the param left of the others."""
    ticks = [(on_plot(axis, tick.place), tick.label) for tick in axis.ticks]
    lacking = [(on_plot(axis, sum(MISSING) / 2), wording.DASH)] if axis.has_missing else []
    return (*lacking, *ticks)


def on_plot(axis: ParamAxis, place: float) -> float:
    """A place of an axis as a share of the plot, which has room for what is lacking."""
    low = MISSING[0] if axis.has_missing else 0.0
    return (place - low) / (1 - low)


def _mark(folded: SliceChart, panel: SlicePanel, index: int) -> Markup:
    number, value = folded.numbers[index], folded.values[index]
    age = f"v{min(SHADES - 1, number * SHADES // (folded.last + 1))}"
    is_best = number == folded.best
    return element(
        "circle",
        element("title", f"{spoken.trial(number)} · {wording.measure(value)}"),
        class_=f"dot {age}{' top' if is_best else ''}",
        cx=percent(on_plot(panel.axis, panel.places[index] / 10_000)),
        cy=percent(1 - folded.y.position(value)),
        r="4.5" if is_best else "3",
        data_trial=number,
    )
