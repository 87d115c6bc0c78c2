"""A line in the corner: the best value so far over ended trials, without axes or words."""

from collections.abc import Sequence

from markupsafe import Markup

from api.dashboard.charts.svg import element, steps, stretched


def draw_spark(points: Sequence[tuple[int, float]], *, label: str) -> Markup | None:
    """A staircase from the first result to now; None before there are two moments."""
    if len(points) < 2:
        return None
    (first, _), (last, _) = points[0], points[-1]
    low, high = min(value for _, value in points), max(value for _, value in points)
    span = high - low
    placed = [
        (
            (ended - first) / max(1, last - first),
            (value - low) / span if span else 0.5,
        )
        for ended, value in points
    ]
    line = element("path", d=steps(placed), class_="best")
    return element("svg", stretched(line), class_="spark", role="img", aria_label=label)
