"""Charts of a study and of a trial: `fold_…` picks what is shown, `draw_…` writes the SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from markupsafe import Markup

from api.dashboard import format as fmt
from api.dashboard.axes import Axis, linear, robust, trimmed
from api.dashboard.svg import Point, element, line, percent, steps, stretched
from tuner.spec.states import TrialState
from tuner.spec.study import Objective
from tuner.spec.views import Curve, HistoryPoint

Role = Literal["ended", "best", "running"]
POINTS, LABELS, HUES = 800, 8, 8
_LABEL_GAP = 0.055  # height of a label as a share of the plot


@dataclass(frozen=True, slots=True)
class Mark:
    """One ended trial: its place on the axis, its state and its value."""

    place: float
    trial: int
    state: TrialState
    value: float | None


@dataclass(frozen=True, slots=True)
class History:
    """Results in the order of ending, with the steps of the best so far."""

    marks: tuple[Mark, ...]
    best: tuple[tuple[float, float], ...]
    best_trial: int | None
    base: float | None
    ended: int
    x: Axis
    y: Axis
    better_high: bool

    @property
    def outside(self) -> int:
        """Marks whose value the axis does not hold."""
        return sum(
            mark.value is not None and not self.y.low <= mark.value <= self.y.high
            for mark in self.marks
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One trial's metric over its steps."""

    trial: int
    state: TrialState
    role: Role
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines in drawing order, the ones that matter last."""

    lines: tuple[Line, ...]
    x: Axis
    y: Axis


def fold_history(
    points: Sequence[HistoryPoint],
    objective: Objective,
    *,
    base: float | None = None,
    limit: int = POINTS,
    axis: Literal["trials", "epochs", "hours"] = "trials",
) -> History:
    """Keep every improvement, and of the other trials an even sample of about `limit`.

    `axis` is what lies across: the order of ending, or what the whole study had spent by then.
    """
    better_high = objective.direction == "maximize"
    places = _spent(points, axis)
    marks = [
        Mark(x, p.trial, p.state, _finite(p.value)) for x, p in zip(places, points, strict=True)
    ]
    best: list[tuple[float, float]] = []
    record: set[int] = set()
    holder = None
    for index, point in enumerate(points):
        value = _finite(point.best)
        if value is not None and (not best or objective.is_better(value, best[-1][1])):
            best.append((places[index], value))
            record.add(index)
            holder = point.trial
    stride = max(1, math.ceil(len(marks) / limit))
    kept = tuple(
        mark for index, mark in enumerate(marks) if index in record or (index + 1) % stride == 0
    )
    values = [mark.value for mark in kept if mark.value is not None]
    y = robust([*values, *([base] if base is not None else [])], better_high=better_high)
    x = linear((0, max([*places, 0.0]) or 1.0), whole=axis != "hours")
    return History(kept, tuple(best), holder, base, len(points), x, y, better_high)


def _spent(points: Sequence[HistoryPoint], axis: str) -> list[float]:
    """Where each trial lies; one of which it is not known lies where the one before it does."""
    found: list[float] = []
    for index, point in enumerate(points, start=1):
        spent = {
            "trials": float(index),
            "epochs": point.epochs,
            "hours": None if point.device_seconds is None else point.device_seconds / 3600,
        }[axis]
        found.append(spent if spent is not None else found[-1] if found else 0.0)
    return found


def draw_history(history: History, *, name: str) -> Markup:
    """Values of ended trials by state, the staircase of the best so far, and trial 0."""
    x, y = history.x, history.y
    stairs = steps((x.position(place), y.position(value)) for place, value in history.best)
    ground = [grid(x, y)]
    if history.base is not None:
        height = percent(1 - y.position(history.base))
        ground.append(element("line", class_="base", x1="0", x2="100%", y1=height, y2=height))
    front = [stretched(element("path", class_="best", d=stairs))] if stairs else []
    return chart(
        *ground,
        *(_mark(history, mark) for mark in sorted(history.marks, key=_weight)),
        *front,
        *_levels(history),
        label=f"{name} of {history.ended} ended trials in the order of ending, "
        f"best so far {fmt.metric(history.best[-1][1] if history.best else None)}",
    )


def fold_curves(
    curves: Sequence[Curve], *, best: int | None = None, epochs: int = 1, points: int = 60
) -> Curves:
    """Order lines by weight, thin each to about `points`, and fit the axes."""
    lines = [
        Line(curve.trial, curve.state, _role(curve, best), _thin(curve, points)) for curve in curves
    ]
    order: dict[Role, int] = {"ended": 0, "best": 1, "running": 2}
    shown = sorted(
        (item for item in lines if item.points), key=lambda item: (order[item.role], item.trial)
    )
    last = max((item.points[-1][0] for item in shown), default=1)
    values = [value for item in shown for _, value in item.points]
    return Curves(tuple(shown), linear((0, max(last, epochs)), whole=True), trimmed(values))


def draw_curves(curves: Curves, *, name: str, ends: Literal["trial", "value"] = "trial") -> Markup:
    """Running trials in colour over ended ones; they and the best are named at their ends."""
    hues = _hues(curves)
    paths = [
        element(
            "path",
            element("title", f"trial {item.trial} · {item.state} · {_last(item)}"),
            class_=f"line {item.role} {hues.get(item.trial, '')}".rstrip(),
            d=line(_places(curves, item)),
            data_trial=item.trial,
        )
        for item in curves.lines
    ]
    running = sum(item.role == "running" for item in curves.lines)
    return chart(
        grid(curves.x, curves.y),
        stretched(*paths),
        *_ends(curves, hues, ends),
        label=f"{name} over epochs of {len(curves.lines)} trials, {running} of them running",
    )


def draw_bar(share: float | None, *, kind: str = "value") -> Markup:
    """A horizontal bar filled to a share of 1."""
    filled = min(1.0, max(0.0, _finite(share) or 0.0))
    track = element("rect", class_="track", width="100%", height="100%", rx="2")
    fill = element("rect", class_=kind, width=percent(filled), height="100%", rx="2")
    return element("svg", track, fill, class_="bar", aria_hidden="true")


def draw_stack(counts: Mapping[str, int], total: int) -> Markup:
    """A bar of segments, one per state in the given order, on a track of `total`."""
    whole = max(total, sum(counts.values()), 1)
    parts, start = [], 0
    for state, count in counts.items():
        if count:
            parts.append(
                element(
                    "rect",
                    element("title", f"{count:,} {state}"),
                    class_=state,
                    x=percent(start / whole),
                    width=percent(count / whole),
                    height="100%",
                )
            )
        start += count
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none yet"
    track = element("rect", class_="track", width="100%", height="100%")
    label = f"Trials: {said}, of {total}"
    return element("svg", track, *parts, class_="bar stack", role="img", aria_label=label)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move labels apart so that neighbours keep `gap`, in order, from the lowest upwards."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, index in pairwise(order):
        moved[index] = max(moved[index], moved[before] + gap)
    excess = max([moved[index] for index in order], default=0.0) - 1.0
    if excess > 0 and order:
        ceiling = 1.0
        for index in reversed(order):
            moved[index] = min(moved[index], ceiling)
            ceiling = moved[index] - gap
    return moved


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _role(curve: Curve, best: int | None) -> Role:
    if curve.state is TrialState.RUNNING:
        return "running"
    return "best" if curve.trial == best else "ended"


def _thin(curve: Curve, limit: int) -> tuple[tuple[int, float], ...]:
    points = [
        (step, value)
        for step, value in zip(curve.steps, curve.values, strict=True)
        if math.isfinite(value)
    ]
    stride = max(1, math.ceil(len(points) / limit))
    return tuple(
        point
        for index, point in enumerate(points, start=1)
        if index % stride == 0 or index in (1, len(points))
    )


def _hues(curves: Curves) -> dict[int, str]:
    running = [item.trial for item in curves.lines if item.role == "running"]
    return {trial: f"hue{index % HUES}" for index, trial in enumerate(running)}


def _places(curves: Curves, item: Line) -> list[Point]:
    return [(curves.x.position(step), curves.y.position(value)) for step, value in item.points]


def _last(item: Line) -> str:
    step, value = item.points[-1]
    return f"{fmt.measure(value)} at epoch {step}"


def _ends(curves: Curves, hues: Mapping[int, str], what: str) -> list[Markup]:
    """A dot and a name at the end of each line that is not faint."""
    named = [item for item in curves.lines if item.role != "ended"][-LABELS:]
    ends = [_places(curves, item)[-1] for item in named]
    heights = spread([y for _, y in ends], _LABEL_GAP)
    found = []
    for item, (x, y), height in zip(named, ends, heights, strict=True):
        tone = f"{item.role} {hues.get(item.trial, '')}".rstrip()
        found.append(
            element("circle", class_=f"end {tone}", cx=percent(x), cy=percent(1 - y), r="3.5")
        )
        found.append(
            element(
                "text",
                f"#{item.trial}" if what == "trial" else fmt.measure(item.points[-1][1]),
                class_=f"name {tone}",
                x=percent(x),
                dx="8",
                y=percent(1 - height),
                dy="4",
            )
        )
    return found


def _mark(history: History, mark: Mark) -> Markup:
    title = element("title", f"trial {mark.trial} · {mark.state} · {fmt.metric(mark.value)}")
    x = percent(history.x.position(mark.place))
    y = percent(1 - history.y.position(mark.value) if mark.value is not None else 1.0)
    glyph = _glyph(history.y, mark)
    if glyph is None:
        return element("circle", title, class_=mark.state, cx=x, cy=y, r="3", data_trial=mark.trial)
    return element(
        "text", glyph, title, class_=f"glyph {mark.state}", x=x, y=y, data_trial=mark.trial
    )


def _weight(mark: Mark) -> bool:
    """Completed trials are drawn over the others."""
    return mark.state is TrialState.COMPLETED


def _glyph(axis: Axis, mark: Mark) -> str | None:
    """A sign for what a dot on the axis would not say: failed, or beyond the axis."""
    if mark.value is not None and mark.value < axis.low:
        return "▾"
    if mark.value is not None and mark.value > axis.high:
        return "▴"
    return "×" if mark.value is None or mark.state is TrialState.FAILED else None


def _levels(history: History) -> list[Markup]:
    """Names of the two horizontal lines, kept apart by standing on their outer sides."""
    up, down = ("-7", "15") if history.better_high else ("15", "-7")
    found = []
    if history.best:
        value = history.best[-1][1]
        text = f"best {fmt.metric(value)} · #{history.best_trial}"
        found.append(_level(text, history.y.position(value), dy=up, class_="name best"))
    if history.base is not None and (not history.best or history.best[-1][1] != history.base):
        text = f"trial 0 · {fmt.metric(history.base)}"
        found.append(_level(text, history.y.position(history.base), dy=down, class_="name base"))
    return found


def _level(text: str, height: float, *, dy: str, class_: str) -> Markup:
    y = percent(1 - height)
    return element("text", text, class_=class_, x="100%", y=y, dy=dy, text_anchor="end")


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


def chart(*children: Markup, label: str) -> Markup:
    """A chart with its description for those who do not see it."""
    return element("svg", *children, class_="chart", role="img", aria_label=label)
