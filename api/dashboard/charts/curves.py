"""Learning curves: `fold_curves` picks what is shown, `draw_curves` writes the SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.axes import Axis, linear, trimmed
from api.dashboard.charts.frame import chart, grid
from api.dashboard.charts.svg import Position, element, line, percent, stretched
from api.dashboard.charts.thin import thin
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.spec.states import TrialState

Role = Literal["ended", "best", "running"]
LABELS, HUES = 8, 8
_LABEL_GAP = 0.055  # height of a label as a share of the plot


@dataclass(frozen=True, slots=True)
class Line:
    """One trial's metric over its steps."""

    trial: int
    state: TrialState
    role: Role
    points: tuple[tuple[float, float], ...]


class CurveLike(Protocol):
    """One trial's metric by step."""

    @property
    def trial(self) -> int:
        """Its number."""
        ...

    @property
    def state(self) -> TrialState:
        """Where it is."""
        ...

    @property
    def steps(self) -> Sequence[float]:
        """Where it reported, rising."""
        ...

    @property
    def values(self) -> Sequence[float]:
        """What it reported there."""
        ...


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines in drawing order, the ones that matter last."""

    lines: tuple[Line, ...]
    x: Axis
    y: Axis


def fold_curves(
    curves: Sequence[CurveLike], *, best: int | None = None, epochs: int = 1, points: int = 60
) -> Curves:
    """Order lines by weight, thin each to about `points`, and fit the axes."""
    lines = [
        Line(curve.trial, curve.state, _role(curve, best), _thin(curve, points)) for curve in curves
    ]
    shown = sorted((item for item in lines if item.points), key=weight)
    last = max((item.points[-1][0] for item in shown), default=1)
    values = [value for item in shown for _, value in item.points]
    return Curves(tuple(shown), linear((0, max(last, epochs)), whole=True), trimmed(values))


def weight(line: Line) -> tuple[int, int]:
    """Where a line is drawn: ended ones lie below, running ones on top."""
    order: dict[Role, int] = {"ended": 0, "best": 1, "running": 2}
    return order[line.role], line.trial


def draw_curves(curves: Curves, *, name: str, ends: Literal["trial", "value"] = "trial") -> Markup:
    """Running trials in colour over ended ones; they and the best are named at their ends."""
    hues = _hues(curves)
    paths = [
        element(
            "path",
            element("title", f"{spoken.trial(item.trial)} · {_(item.state)} · {_last(item)}"),
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
        label=_("%(metric)s over epochs of %(trials)s, %(running)s of them running")
        % {
            "metric": name,
            "trials": spoken.quantity(len(curves.lines), "trial"),
            "running": running,
        },
    )


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


def _role(curve: CurveLike, best: int | None) -> Role:
    if curve.state is TrialState.RUNNING:
        return "running"
    return "best" if curve.trial == best else "ended"


def _thin(curve: CurveLike, limit: int) -> tuple[tuple[float, float], ...]:
    points = [
        (float(step), value)
        for step, value in zip(curve.steps, curve.values, strict=True)
        if math.isfinite(value)
    ]
    return thin(points, limit)


def _hues(curves: Curves) -> dict[int, str]:
    running = [item.trial for item in curves.lines if item.role == "running"]
    return {trial: f"hue{index % HUES}" for index, trial in enumerate(running)}


def _places(curves: Curves, item: Line) -> list[Position]:
    return [(curves.x.position(step), curves.y.position(value)) for step, value in item.points]


def _last(item: Line) -> str:
    step, value = item.points[-1]
    said = {"value": wording.measure(value), "step": f"{step:g}"}
    return _("%(value)s at epoch %(step)s") % said


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
                f"#{item.trial}" if what == "trial" else wording.measure(item.points[-1][1]),
                class_=f"name {tone}",
                x=percent(x),
                dx="8",
                y=percent(1 - height),
                dy="4",
            )
        )
    return found
