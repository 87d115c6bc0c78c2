"""Small charts of one curve each, side by side over one axis: folded, then drawn or sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard.charts.axes import Axis, linear, trimmed
from api.dashboard.charts.frame import chart, grid
from api.dashboard.charts.svg import element, line, percent, stretched
from api.dashboard.charts.thin import Points, smooth, thin
from api.dashboard.trial_series import SPEED, AxisPlaces, Series
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.spec.metrics import MINIMIZED

POINTS = 800  # of a curve: two for each pixel of a small chart
_DIGITS = 6
_LARGE = 10
_DENSE = 200  # points, from which a thick line hides its own ups and downs
_EXACT = frozenset({"lr"})  # has no noise to smooth away
_WITHOUT_BEST = frozenset({"lr", *SPEED})  # of which more is not better, or less


@dataclass(frozen=True, slots=True)
class Multiple:
    """One curve: `points` as reported, `smoothed` if that was asked for, its best and its last.

    All are thinned to what a screen can show; `low` to `high` holds what is worth looking at.
    """

    metric: str
    name: str
    unit: str
    hue: int
    points: Points
    smoothed: Points
    best: tuple[float, float] | None
    last: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Multiples:
    """Curves over one axis, which ends where the whole training does."""

    axis: str
    unit: str
    end: float
    resumed: tuple[float, ...]
    lines: tuple[Multiple, ...]


def fold_multiples(
    found: Sequence[Series], where: AxisPlaces, *, weight: float = 0.0, limit: int = POINTS
) -> Multiples:
    """Thin each curve, smooth it on all of its points before that, and find its best."""
    lines = tuple(_fold(each, weight, limit) for each in found)
    resumed = tuple(map(_short, where.resumed))
    return Multiples(where.axis, where.unit, _short(where.end), resumed, lines)


def draw_multiple(all_of: Multiples, one: Multiple) -> Markup:
    """The curve, its last value in words at its end, a ring at its best."""
    x = linear((0, all_of.end), count=4, whole=all_of.unit in {"epochs", "images"})
    y = linear((one.low, one.high), count=3)
    drawn = one.smoothed or one.points
    kind = "line dense" if len(drawn) > _DENSE and not one.smoothed else "line"
    raw = [element("path", class_="raw", d=_path(one.points, x, y))] if one.smoothed else []
    breaks = [
        element("line", class_="resumed", x1=percent(x.position(at)), x2=percent(x.position(at)),
                y1="0", y2="100%")
        for at in all_of.resumed
    ]  # fmt: skip
    return chart(
        grid(x, y),
        *breaks,
        stretched(*raw, element("path", class_=kind, d=_path(drawn, x, y))),
        *_marks(one, drawn, x, y),
        label=_("%(metric)s over %(unit)s, now %(value)s")
        % {"metric": one.metric, "unit": _(all_of.unit), "value": said(one.last)},
    )


def said(value: float) -> str:
    """A value at the end of a curve: three decimals of a share, four digits of what is larger."""
    return wording.number(value) if abs(value) >= _LARGE else wording.measure(value)


def _fold(one: Series, weight: float, limit: int) -> Multiple:
    is_smoothed = weight and one.metric not in _EXACT
    smoothed = thin(smooth(one.points, weight), limit) if is_smoothed else ()
    values = [value for _, value in one.points]
    window = trimmed(values)
    best = None
    if len(one.points) > 1 and one.metric not in _WITHOUT_BEST:
        pick = min if one.metric in MINIMIZED or "loss" in one.metric else max
        best = pick(one.points, key=lambda point: point[1])
    return Multiple(
        metric=one.metric,
        name=one.name,
        unit=one.unit,
        hue=_hue(one.metric),
        points=_rounded(thin(one.points, limit)),
        smoothed=_rounded(smoothed),
        best=None if best is None else _rounded((best,))[0],
        last=_short(one.points[-1][1]),
        low=_short(min(window.low, best[1] if best else window.low)),
        high=_short(max(window.high, best[1] if best else window.high)),
    )


def _hue(metric: str) -> int:
    """One colour for what is alike: scores, losses, rates, speed."""
    if metric in SPEED:
        return 2
    return 1 if "loss" in metric else 4 if metric == "lr" else 0


def _marks(one: Multiple, drawn: Points, x: Axis, y: Axis) -> list[Markup]:
    place, value = drawn[-1]
    found = [_circle("end", x.position(place), y.position(value), "3.5")]
    if one.best is not None:
        title = element("title", _("best %(value)s") % {"value": said(one.best[1])})
        across, up = x.position(one.best[0]), y.position(one.best[1])
        found.insert(0, _circle("best", across, up, "4.5", title))
    text = element(
        "text",
        said(one.last),
        class_="name",
        x=percent(x.position(place)),
        dx="8",
        y=percent(1 - y.position(value)),
        dy="4",
    )
    return [*found, text]


def _circle(kind: str, across: float, up: float, radius: str, *inside: Markup) -> Markup:
    return element("circle", *inside, class_=kind, cx=percent(across), cy=percent(1 - up), r=radius)


def _path(points: Points, x: Axis, y: Axis) -> str:
    return line((x.position(at), y.position(value)) for at, value in points)


def _rounded(points: Points) -> Points:
    return tuple((_short(at), _short(value)) for at, value in points)


def _short(value: float) -> float:
    """With as many digits as a screen can tell apart: a curve is sent in half the bytes."""
    return float(f"{value:.{_DIGITS}g}")
