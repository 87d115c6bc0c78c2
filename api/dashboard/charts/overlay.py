"""Curves of a few trials over each other, each with a letter and a colour of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard.charts.axes import Axis, linear, trimmed
from api.dashboard.charts.curves import spread
from api.dashboard.charts.frame import chart, grid
from api.dashboard.charts.svg import element, line, percent, stretched
from api.dashboard.words import gettext as _

POINTS = 200  # of one line
_LABEL_GAP = 0.06  # height of a label as a share of the plot


@dataclass(frozen=True, slots=True)
class OverlaidLine:
    """One trial's metric over its epochs; `place` is its turn among the trials, from 0."""

    place: int
    letter: str
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The lines that have points, and axes that hold all of them."""

    lines: tuple[OverlaidLine, ...]
    x: Axis
    y: Axis


def fold_overlay(curves: Sequence[tuple[str, Sequence[int], Sequence[float]]]) -> Overlay:
    """Lines of letters with their steps and values, each thinned so that none of it is lost."""
    lines = [
        OverlaidLine(place, letter, thin(points))
        for place, (letter, steps, values) in enumerate(curves)
        if (points := [p for p in zip(steps, values, strict=True) if math.isfinite(p[1])])
    ]
    last = max((one.points[-1][0] for one in lines), default=1)
    values = [value for one in lines for _, value in one.points]
    return Overlay(tuple(lines), linear((0, last), whole=True), trimmed(values))


def thin(points: Sequence[tuple[int, float]], most: int = POINTS) -> tuple[tuple[int, float], ...]:
    """At most so many points: of each stretch the lowest and the highest, and both ends."""
    if len(points) <= most:
        return tuple(points)
    inner = points[1:-1]
    parts = (most - 2) // 2
    kept = [points[0]]
    for part in range(parts):
        stretch = inner[part * len(inner) // parts : (part + 1) * len(inner) // parts]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return (*kept, points[-1])


def draw_overlay(overlay: Overlay, *, name: str) -> Markup:
    """Each line in its colour, with its letter at the end."""
    paths = [
        element(
            "path",
            element("title", one.letter),
            class_=f"line hue{one.place}",
            d=line(_places(overlay, one)),
        )
        for one in overlay.lines
    ]
    ends = [_places(overlay, one)[-1] for one in overlay.lines]
    heights = spread([y for _, y in ends], _LABEL_GAP)
    letters = [
        mark
        for one, (x, y), height in zip(overlay.lines, ends, heights, strict=True)
        for mark in (
            element(
                "circle", class_=f"end hue{one.place}", cx=percent(x), cy=percent(1 - y), r="3.5"
            ),
            element(
                "text",
                one.letter,
                class_=f"name running hue{one.place}",
                x=percent(x),
                dx="8",
                y=percent(1 - height),
                dy="4",
            ),
        )
    ]
    letters_ = _(", ").join(one.letter for one in overlay.lines)
    label = _("%(metric)s over epochs of the trials %(letters)s") % {
        "metric": name,
        "letters": letters_,
    }
    return chart(grid(overlay.x, overlay.y), stretched(*paths), *letters, label=label)


def _places(overlay: Overlay, one: OverlaidLine) -> list[tuple[float, float]]:
    return [(overlay.x.position(step), overlay.y.position(value)) for step, value in one.points]
