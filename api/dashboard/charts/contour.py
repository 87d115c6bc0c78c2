"""The best value over two params: stretches of both make cells, each as good as its best trial."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.dimensions import MISSING, WHOLE, ParamAxis, place_of
from api.dashboard.charts.frame import chart
from api.dashboard.charts.pairs import ParamPair, cell_of, cells, spot
from api.dashboard.charts.sequential import AmongTrials, goodness, sample, shade, value_axis, whole
from api.dashboard.charts.svg import element, percent
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.service.trial_points import StudyPoints, TrialPoint

DOTS, DRAWN = 600, 150


@dataclass(frozen=True, slots=True)
class ContourCell:
    """The best of the trials within a stretch of each param, in ten-thousandths of the axes."""

    x: tuple[int, int]
    y: tuple[int, int]
    value: float
    good: int
    trial: int
    trials: int


@dataclass(frozen=True, slots=True)
class Dot:
    """One trial over two params."""

    trial: int
    x: int
    y: int
    value: float
    good: int


@dataclass(frozen=True, slots=True)
class ContourChart:
    """Cells with the trials that they are made of."""

    metric: str
    direction: str
    among: AmongTrials
    x: ParamAxis
    y: ParamAxis
    cells: tuple[ContourCell, ...]
    dots: tuple[Dot, ...]
    names: Mapping[str, str]
    matching: int
    best: int | None
    low: float
    high: float


def fold_contour(points: StudyPoints, pair: ParamPair) -> ContourChart:
    """The best trial of each cell that has one, and an even sample of all trials."""
    objective = points.objective
    scale = value_axis(pair.trials, objective)
    columns, rows = cells(pair.x, len(pair.trials)), cells(pair.y, len(pair.trials))
    inside: dict[tuple[int, int], list[TrialPoint]] = {}
    for one in pair.trials:
        across = cell_of(columns, place_of(pair.x, one.params))
        up = cell_of(rows, place_of(pair.y, one.params))
        if across is not None and up is not None:
            inside.setdefault((across, up), []).append(one)
    made = []
    for (across, up), some in sorted(inside.items()):
        top = min(some, key=lambda one: (objective.key(one.value or 0.0), one.number))
        value = top.value or 0.0
        made.append(
            ContourCell(
                x=_whole(columns[across]),
                y=_whole(rows[up]),
                value=float(f"{value:.6g}"),
                good=whole(goodness(value, scale, objective)) or 0,
                trial=top.number,
                trials=len(some),
            )
        )
    best = next((one for one in pair.trials if one.number == pair.best), None)
    dots = tuple(
        Dot(
            trial=one.number,
            x=spot(pair.x, one),
            y=spot(pair.y, one),
            value=float(f"{one.value:.6g}"),
            good=whole(goodness(one.value or 0.0, scale, objective)) or 0,
        )
        for one in sample(pair.trials, DOTS, best)
    )
    return ContourChart(
        metric=objective.metric,
        direction=objective.direction,
        among=pair.among,
        x=pair.x,
        y=pair.y,
        cells=tuple(made),
        dots=dots,
        names=pair.names,
        matching=len(pair.trials),
        best=pair.best,
        low=scale.low,
        high=scale.high,
    )


def draw_contour(folded: ContourChart) -> Markup:
    """Cells shaded by their best value, trials as dots."""
    x, y = PlotSide.of(folded.x), PlotSide.of(folded.y)
    tiles = [
        element(
            "rect",
            element("title", f"{wording.measure(cell.value)} · {spoken.trial(cell.trial)}"),
            class_=f"cell {shade(cell.good / WHOLE)}",
            x=percent(x.share(cell.x[0])),
            y=percent(1 - y.share(cell.y[1])),
            width=percent(x.share(cell.x[1]) - x.share(cell.x[0])),
            height=percent(y.share(cell.y[1]) - y.share(cell.y[0])),
            data_trial=cell.trial,
        )
        for cell in folded.cells
    ]
    stride = max(1, -(-len(folded.dots) // DRAWN))
    dots = [
        mark(dot, x, y, class_="spot top" if dot.trial == folded.best else "spot")
        for index, dot in enumerate(folded.dots)
        if index % stride == 0 or dot.trial == folded.best
    ]
    return chart(
        *tiles,
        frame_of(x, y),
        *dots,
        label=_("Best %(metric)s over %(x)s and %(y)s of %(trials)s")
        % {
            "metric": folded.metric,
            "x": folded.x.path,
            "y": folded.y.path,
            "trials": spoken.quantity(folded.matching, "trial"),
        },
    )


@dataclass(frozen=True, slots=True)
class PlotSide:
    """An axis over the whole of a plot's side, with room for trials that lack the param."""

    axis: ParamAxis
    low: float
    high: float

    @classmethod
    def of(cls, axis: ParamAxis) -> "PlotSide":
        """It, as wide as its cells."""
        stretches = cells(axis, 1)
        low, high = min(0.0, stretches[0][0]), max(1.0, stretches[-1][1])
        return cls(axis, low, high)

    def share(self, place: int) -> float:
        """A place in ten-thousandths as a share of the side."""
        return (place / WHOLE - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Names of the axis and where they are."""
        found = [(self.share(round(tick.place * WHOLE)), tick.label) for tick in self.axis.ticks]
        if self.axis.has_missing:
            found.insert(0, (self.share(round(sum(MISSING) / 2 * WHOLE)), wording.DASH))
        return found


def frame_of(x: PlotSide, y: PlotSide) -> Markup:
    """Names of both axes' ticks."""
    across = [
        element("text", label, x=percent(place), y="100%", dy="18", text_anchor="middle")
        for place, label in x.ticks
    ]
    up = [
        element("text", label, x="0", dx="-8", y=percent(1 - place), dy="4", text_anchor="end")
        for place, label in y.ticks
    ]
    return element("g", *across, *up, class_="grid")


def mark(dot: Dot, x: PlotSide, y: PlotSide, *, class_: str) -> Markup:
    """A trial as a dot."""
    return element(
        "circle",
        element("title", f"{spoken.trial(dot.trial)} · {wording.measure(dot.value)}"),
        class_=class_,
        cx=percent(x.share(dot.x)),
        cy=percent(1 - y.share(dot.y)),
        r="5" if class_.endswith("top") else "3",
        data_trial=dot.trial,
    )


def _whole(stretch: tuple[float, float]) -> tuple[int, int]:
    return round(stretch[0] * WHOLE), round(stretch[1] * WHOLE)
