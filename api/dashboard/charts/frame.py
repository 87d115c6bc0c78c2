"""What every chart has: its axes, its description, and how much it draws."""

import math
from collections.abc import Sequence
from dataclasses import replace

from markupsafe import Markup

from api.dashboard.charts.axes import Axis, linear
from api.dashboard.charts.svg import element, percent

POINTS = 800


def grid(x: Axis, y: Axis) -> Markup:
    """Lines and numbers of both axes."""
    parts = []
    for tick in y.ticks:
        height = percent(1 - y.position(tick))
        parts.append(element("line", x1="0", x2="100%", y1=height, y2=height))
        parts.append(
            element("text", y.label(tick), x="0", dx="-8", y=height, dy="4", text_anchor="end")
        )
    for tick in x.ticks:
        place = percent(x.position(tick))
        parts.append(
            element("text", x.label(tick), x=place, y="100%", dy="18", text_anchor="middle")
        )
    return element("g", *parts, class_="grid")


def grid_of(across: Sequence[tuple[float, str]], y: Axis) -> Markup:
    """As `grid`, with named places across."""
    upright = linear((0, 1), count=1, whole=True)
    lines = grid(replace(upright, ticks=()), y)
    names = [
        element("text", label, x=percent(place), y="100%", dy="18", text_anchor="middle")
        for place, label in across
    ]
    return element("g", lines, *names, class_="grid")


def chart(*children: Markup, label: str) -> Markup:
    """A chart with its description for screen readers."""
    return element("svg", *children, class_="chart", role="img", aria_label=label)


def finite(value: float | None) -> float | None:
    """The value where it is a finite number."""
    return value if value is not None and math.isfinite(value) else None
