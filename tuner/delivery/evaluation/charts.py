"""The report's charts as SVG: the reliability diagram, and scores under worse images."""

from collections.abc import Iterable, Sequence

from tuner.delivery.evaluation.calibration import BINS, Calibration
from tuner.delivery.evaluation.corruption import STRENGTHS
from tuner.delivery.evaluation.robustness import Robustness
from tuner.delivery.report.markup import Markup, element

_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 10, 40
_BESIDE = 84  # room for names at the ends of lines
_DASHES = (None, "7 4", "2 3", "9 3 2 3", "5 2", "1 4")
_APART = 14  # pixels between two names


def reliability(found: Calibration) -> Markup:
    """Accuracy by confidence: bars below the diagonal are overconfident. Grey is the share."""
    most = max(*found.pixels, 1)
    marks = []
    for k in range(BINS):
        if not found.pixels[k]:
            continue
        left, right = _across(k / BINS) + 1, _across((k + 1) / BINS) - 1
        accuracy, confidence = found.accuracy[k], found.confidence[k]
        title = element(
            "title",
            f"confidence {confidence:.3f}, accuracy {accuracy:.3f}, {found.pixels[k]:,} pixels",
        )
        share = found.pixels[k] / most
        marks.append(
            element(
                "g",
                title,
                _box(left, right, share, "var(--raised)", stroke="var(--line)"),
                _box(left + 3, right - 3, accuracy, "var(--accent)"),
                _level(left, right, confidence),
            )
        )
    ideal = element("line", class_="ideal", x1=_across(0), y1=_down(0), x2=_across(1), y2=_down(1))
    return _chart(
        f"Reliability diagram; the expected calibration error is {found.ece:.4f}",
        *_grid((0, 0.25, 0.5, 0.75, 1)),
        *(_under(share, f"{share:g}") for share in (0, 0.25, 0.5, 0.75, 1)),
        _caption("confidence"),
        *marks,
        ideal,
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
        *_grid([tick / top for tick in ticks], [f"{tick:.2f}" for tick in ticks], room),
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


def _grid(
    shares: Sequence[float], labels: Sequence[str] | None = None, room: float = 1
) -> Iterable[Markup]:
    for place, share in enumerate(shares):
        y = f"{_down(share):.1f}"
        yield element("line", class_="grid", x1=_across(0), y1=y, x2=_across(room), y2=y)
        text = labels[place] if labels else f"{share:g}"
        yield element("text", text, x=_LEFT - 7, y=f"{_down(share) + 4:.1f}", text_anchor="end")


def _under(share: float, label: str) -> Markup:
    return element(
        "text", label, x=f"{_across(share):.1f}", y=_HEIGHT - _BOTTOM + 17, text_anchor="middle"
    )


def _caption(label: str, room: float = 1) -> Markup:
    return element("text", label, x=f"{_across(room / 2):.1f}", y=_HEIGHT - 4, text_anchor="middle")


def _box(left: float, right: float, share: float, fill: str, stroke: str | None = None) -> Markup:
    return element(
        "rect",
        x=f"{left:.1f}",
        y=f"{_down(share):.1f}",
        width=f"{right - left:.1f}",
        height=f"{_down(0) - _down(share):.1f}",
        fill=fill,
        stroke=stroke,
        rx=2,
    )


def _level(left: float, right: float, share: float) -> Markup:
    y = f"{_down(share):.1f}"
    style = "stroke:var(--wrong);stroke-width:2"
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
