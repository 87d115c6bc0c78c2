"""SVG as text: elements with escaped attributes, and coordinates as short numbers.

Charts stretch without a script: marks and texts are placed in percent of the plot, lines are
drawn in a 1000×1000 box that is stretched onto it, so that letters keep their size.
"""

import math
import re
from collections.abc import Iterable

from markupsafe import Markup, escape

BOX = 1000
Position = tuple[float, float]
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One element; `_` in attribute names becomes `-`, a trailing one goes; None is left out."""
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    head = f"<{name}{''.join(pairs)}"
    body = "".join(_text(child) for child in children if child is not None)
    return Markup(f"{head}>{body}</{name}>" if body else f"{head}/>")  # noqa: S704  # all escaped


def percent(share: float) -> str:
    """A share of 1 as a coordinate in percent."""
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + "%"


def stretched(*children: Markup) -> Markup:
    """The box in which paths are drawn, stretched onto the plot."""
    return element(
        "svg",
        *children,
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        overflow="visible",
    )


def line(points: Iterable[Position]) -> str:
    """Path data through points given as shares of the plot, y upwards."""
    return "M" + "L".join(f"{_across(x)} {_down(y)}" for x, y in points)


def steps(points: Iterable[Position], end: float = 1.0) -> str:
    """Path data of a staircase that keeps each height until the next point, and up to `end`."""
    data, before = "", None
    for x, y in points:
        data += f"M{_across(x)} {_down(y)}" if before is None else f"H{_across(x)}V{_down(y)}"
        before = x
    return f"{data}H{_across(end)}" if data else ""


def _across(share: float) -> int:
    return round(share * BOX)


def _down(share: float) -> int:
    return round((1 - share) * BOX)


def _text(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"an SVG coordinate is {value}; leave the point out")
    return _NOT_XML.sub("\ufffd", str(escape(value)))
