"""The report's charts as SVG: the reliability diagram, and scores under worse images."""

from collections.abc import Iterable, Mapping, Sequence

from tuner.delivery.evaluation.calibration import BINS, Calibration
from tuner.delivery.evaluation.corruption import STRENGTHS
from tuner.delivery.evaluation.robustness import Robustness
from tuner.delivery.report.markup import Markup, element

_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 10, 40
_BESIDE = 84  # room for names at the ends of lines
_DASHES = (None, "7 4", "2 3", "9 3 2 3", "5 2", "1 4")
_APART = 14  # pixels between two names
_STRIP, _GAP = 44, 12  # the strip under the reliability diagram
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def reliability(found: Calibration) -> Markup:
    """Accuracy by confidence, and how many pixels there are of each confidence."""
    most, total = max(*found.pixels, 1), max(sum(found.pixels), 1)
    marks = []
    for k in range(BINS):
        if not found.pixels[k]:
            continue
        left, right = _across(k / BINS) + 1, _across((k + 1) / BINS) - 1
        accuracy, confidence = found.accuracy[k], found.confidence[k]
        title = element(
            "title",
            f"confidence {confidence:.3f}, accuracy {accuracy:.3f}, "
            f"{found.pixels[k] / total:.1%} of the pixels",
        )
        low, high = _strip(0), _strip(found.pixels[k] / most)
        marks.append(
            element(
                "g",
                title,
                _box((left, right), (_upper(0), _upper(accuracy)), "var(--accent)"),
                _level(left, right, _upper(confidence)),
                _box((left, right), (low, high), "var(--faint)"),
            )
        )
    ends = {"x1": _across(0), "y1": _upper(0), "x2": _across(1), "y2": _upper(1)}
    return _chart(
        f"Reliability diagram; the expected calibration error is {found.ece:.4f}",
        *_grid({f"{share:g}": _upper(share) for share in _QUARTERS}, _across(1)),
        *(_under(share, f"{share:g}") for share in _QUARTERS),
        _caption("confidence"),
        *marks,
        element("line", class_="ideal", **ends),
    )


def under_strain(found: Robustness, clean: float) -> Markup:
    """Mean IoU by strength, a line for each kind; strength 0 is the image as it is."""
    top = _rounded_up(max([clean, *(max(each.miou) for each in found.corruptions)]))
    room = 1 - _BESIDE / (_WIDTH - _LEFT - _RIGHT)
    steps = [room * strength / len(STRENGTHS) for strength in (0, *STRENGTHS)]
    ends = _spread([(_down(each.miou[-1] / top), i) for i, each in enumerate(found.corruptions)])
    lines = []
    for place, each in enumerate(found.corruptions):
        points = list(zip(steps, (clean, *each.miou), strict=True))
        values = ", ".join(f"{value:.3f}" for _, value in points)
        lines.append(
            element(
                "g",
                element("title", f"{each.kind}: {values}"),
                element(
                    "path",
                    d="M" + "L".join(f"{_across(x):.1f} {_down(y / top):.1f}" for x, y in points),
                    fill="none",
                    stroke=f"var(--hue{place % 6})",
                    stroke_width=2,
                    stroke_dasharray=_DASHES[place % len(_DASHES)],
                ),
                *(_dot(_across(x), _down(y / top), place) for x, y in points),
                element(
                    "text",
                    each.kind,
                    x=_across(room) + 9,
                    y=f"{ends[place] + 4:.1f}",
                    style=f"fill:var(--hue{place % 6})",
                ),
            )
        )
    ticks = [top * share / 4 for share in range(5)]
    return _chart(
        "Mean IoU by strength of the corruption",
        *_grid({f"{tick:.2f}": _down(tick / top) for tick in ticks}, _across(room)),
        *(_under(x, str(strength)) for strength, x in enumerate(steps)),
        _caption("strength", room),
        *lines,
    )


def _chart(label: str, *children: Markup) -> Markup:
    return element(
        "svg",
        *children,
        class_="chart",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=label,
    )


def _grid(heights: Mapping[str, float], end: float) -> Iterable[Markup]:
    """A line for each labelled height, from the axis to an end."""
    for label, height in heights.items():
        y = f"{height:.1f}"
        yield element("line", class_="grid", x1=_across(0), y1=y, x2=f"{end:.1f}", y2=y)
        yield element("text", label, x=_LEFT - 7, y=f"{height + 4:.1f}", text_anchor="end")


def _under(share: float, label: str) -> Markup:
    return element(
        "text", label, x=f"{_across(share):.1f}", y=_HEIGHT - _BOTTOM + 17, text_anchor="middle"
    )


def _caption(label: str, room: float = 1) -> Markup:
    return element("text", label, x=f"{_across(room / 2):.1f}", y=_HEIGHT - 4, text_anchor="middle")


def _box(sides: tuple[float, float], heights: tuple[float, float], fill: str) -> Markup:
    left, right = sides
    low, high = heights
    return element(
        "rect",
        x=f"{left:.1f}",
        y=f"{high:.1f}",
        width=f"{right - left:.1f}",
        height=f"{low - high:.1f}",
        fill=fill,
        rx=2,
    )


def _level(left: float, right: float, height: float) -> Markup:
    y = f"{height:.1f}"
    style = "stroke:var(--wrong);stroke-width:2.5"
    return element("line", x1=f"{left:.1f}", y1=y, x2=f"{right:.1f}", y2=y, style=style)


def _dot(x: float, y: float, place: int) -> Markup:
    return element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.5, fill=f"var(--hue{place % 6})")


def _spread(wanted: Sequence[tuple[float, int]]) -> dict[int, float]:
    """Heights of names near those wanted, none over another, and all inside."""
    order = sorted(wanted)
    found: dict[int, float] = {}
    lowest = _down(0) - _APART * (len(order) - 1)
    before = -float(_APART)
    for place, (y, index) in enumerate(order):
        before = min(max(y, before + _APART), lowest + place * _APART)
        found[index] = before
    return found


def _rounded_up(value: float) -> float:
    """The next of 0.1, 0.2, …, 1."""
    return max(1, min(10, int(value * 10 + 0.999))) / 10


def _across(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _upper(share: float) -> float:
    """The height of a share of the part above the strip."""
    return _TOP + (1 - share) * (_down(0) - _TOP - _STRIP - _GAP)


def _strip(share: float) -> float:
    """The height of a share of the strip at the bottom."""
    return _down(0) - share * _STRIP
