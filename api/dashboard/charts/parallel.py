"""Parallel coordinates: each trial a line through its params, up to its value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.dimensions import (
    MISSING,
    ParamAxis,
    metric_axis,
    param_axes,
    place_of,
    scattered,
)
from api.dashboard.charts.effects import by_effect
from api.dashboard.charts.frame import chart
from api.dashboard.charts.sequential import (
    AmongTrials,
    best_of,
    chosen,
    goodness,
    sample,
    shade,
    value_axis,
    whole,
)
from api.dashboard.charts.svg import element, line, percent, stretched
from api.dashboard.narrowing import Span
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.service.trial_points import StudyPoints, TrialPoint

LINES, BEHIND, DRAWN = 800, 200, 150  # that match; that do not; of both as SVG
SHOWN = 8  # axes without being asked for
_LOW = 0.14  # of the plot's height, below the axes, for trials that lack the param


@dataclass(frozen=True, slots=True)
class ParallelAxis:
    """An axis with the spans of it that the filter lets through."""

    axis: ParamAxis
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ParallelLine:
    """One trial: its places in order of the axes, None where it lacks a param."""

    trial: int
    value: float
    good: int
    matches: bool
    places: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class ParallelChart:
    """Axes from left to right, the metric last; lines in drawing order, the best one on top."""

    metric: str
    direction: str
    among: AmongTrials
    axes: tuple[ParallelAxis, ...]
    hidden: tuple[ParamAxis, ...]
    lines: tuple[ParallelLine, ...]
    trials: int
    matching: int
    best: int | None
    low: float
    high: float

    @property
    def shown(self) -> int:
        """Lines of trials that match."""
        return sum(one.matches for one in self.lines)


def _spot(axis: ParamAxis, one: TrialPoint) -> int | None:
    """Where a line crosses an axis; lines through one choice lie side by side."""
    lacks = place_of(axis, one.params) is None
    return None if lacks else scattered(axis, one.params, one.number)


Spans = Mapping[str, tuple[Span, ...]]


def fold_parallel(
    points: StudyPoints, *, asked: Sequence[str] = (), among: AmongTrials | None = None
) -> ParallelChart:
    """An even sample of the trials that match, some of the others behind them.

    Args:
        asked: paths of the axes in order; those that matter most when empty.
    """
    among, trials = chosen(points, among)
    inside = [one for one in trials if one.matches]
    outside = [one for one in trials if not one.matches]
    best = best_of(inside, points.objective)
    scale = value_axis(trials, points.objective)
    metric = metric_axis(points.objective.metric, scale)
    known = param_axes(points.space, [one.params for one in trials])
    order = [path for path in asked if path in known]
    shown = order or by_effect(trials, known)[: SHOWN - 1]
    axes = [*(known[path] for path in dict.fromkeys(shown)), metric]
    kept = [*sample(outside, BEHIND, None), *sample(inside, LINES, best)]
    lines = [
        ParallelLine(
            trial=one.number,
            value=float(f"{one.value:.6g}"),
            good=whole(goodness(one.value or 0.0, scale, points.objective)) or 0,
            matches=one.matches,
            places=tuple(
                whole(axis.place(one.value)) if axis is metric else _spot(axis, one)
                for axis in axes
            ),
        )
        for one in kept
    ]
    return ParallelChart(
        metric=points.objective.metric,
        direction=points.objective.direction,
        among=among,
        axes=tuple(ParallelAxis(axis, ()) for axis in axes),
        hidden=tuple(axis for path, axis in known.items() if axis not in axes),
        lines=tuple(sorted(lines, key=lambda each: (each.matches, each.good, -each.trial))),
        trials=len(trials),
        matching=len(inside),
        best=best.number if best else None,
        low=scale.low,
        high=scale.high,
    )


def with_spans(folded: ParallelChart, found: Spans) -> ParallelChart:
    """The chart with what the filter says of each axis, by path."""
    axes = tuple(replace(one, spans=found.get(one.axis.path, ())) for one in folded.axes)
    return replace(folded, axes=axes)


def draw_parallel(folded: ParallelChart) -> Markup:
    """Lines through vertical axes; those that lack a param pass below its axis."""
    places = [index / max(1, len(folded.axes) - 1) for index in range(len(folded.axes))]
    stride = max(1, -(-len(folded.lines) // DRAWN))
    last = len(folded.lines) - 1
    drawn = [
        each for index, each in enumerate(folded.lines) if index % stride == 0 or index == last
    ]
    paths = [_path(each, places) for each in drawn]
    axes = [
        part for one, place in zip(folded.axes, places, strict=True) for part in _axis(one, place)
    ]
    return chart(
        stretched(*paths),
        *axes,
        label=_("%(metric)s of %(trials)s, each a line through %(params)s")
        % {
            "metric": folded.metric,
            "trials": spoken.quantity(folded.matching, "trial"),
            "params": spoken.quantity(len(folded.axes) - 1, "param"),
        },
    )


def _height(share: float | None) -> float:
    """Where on the plot a place of an axis is: the axes end above the places of what is lacking."""
    return _LOW * 0.3 if share is None else _LOW + share * (1 - _LOW)


def _path(one: ParallelLine, places: Sequence[float]) -> Markup:
    heights = [_height(None if place is None else place / 10_000) for place in one.places]
    shown = f"line {shade(one.good / 10_000)}" if one.matches else "line out"
    return element(
        "path",
        element("title", f"{spoken.trial(one.trial)} · {wording.measure(one.value)}"),
        class_=shown,
        d=line(zip(places, heights, strict=True)),
        data_trial=one.trial,
    )


def _axis(one: ParallelAxis, place: float) -> list[Markup]:
    """A line with its name above it and the names of its ticks beside it."""
    axis, x = one.axis, percent(place)
    low = percent(1 - _height(0.0))
    parts = [element("line", class_="axis", x1=x, x2=x, y1="0", y2=low)]
    parts += [_span_mark(span, x) for span in one.spans]
    parts.append(
        element("text", axis.name, class_="name", x=x, y="0", dy="-12", text_anchor="middle")
    )
    shown = axis.ticks if len(axis.ticks) <= SHOWN else (axis.ticks[0], axis.ticks[-1])
    for tick in shown:
        y = percent(1 - _height(tick.place))
        parts.append(element("text", tick.label, x=x, y=y, dx="5", dy="4", class_="tick"))
    if axis.has_missing:
        y = percent(1 - _height(None))
        parts.append(element("text", wording.DASH, x=x, y=y, dx="5", dy="4", class_="tick"))
    return parts


def _span_mark(span: Span, x: str) -> Markup:
    if span == MISSING:
        top = bottom = 1 - _height(None)
        top, bottom = top - 0.02, bottom + 0.02
    else:
        top, bottom = 1 - _height(span[1]), 1 - _height(span[0])
    return element("line", class_="brush", x1=x, x2=x, y1=percent(top), y2=percent(bottom))
