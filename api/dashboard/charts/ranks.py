"""Trials over two params, shaded by their rank: where the good ones lie, whatever the distance."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.contour import Dot, PlotSide, frame_of, mark
from api.dashboard.charts.dimensions import WHOLE, ParamAxis
from api.dashboard.charts.frame import chart
from api.dashboard.charts.pairs import ParamPair, keyed, spot
from api.dashboard.charts.sequential import AmongTrials, sample, shade, whole
from api.dashboard.words import gettext as _
from tuner.service.trial_points import StudyPoints

DOTS, DRAWN = 1200, 250


@dataclass(frozen=True, slots=True)
class RankChart:
    """Trials, the best drawn last."""

    metric: str
    direction: str
    among: AmongTrials
    x: ParamAxis
    y: ParamAxis
    dots: tuple[Dot, ...]
    names: Mapping[str, str]
    matching: int
    best: int | None


def fold_ranks(points: StudyPoints, pair: ParamPair) -> RankChart:
    """Ranks among all trials that match, of an even sample of them."""
    ranked = {one.number: share for one, share in keyed(pair.trials, points.objective)}
    best = next((one for one in pair.trials if one.number == pair.best), None)
    dots = [
        Dot(
            trial=one.number,
            x=spot(pair.x, one),
            y=spot(pair.y, one),
            value=float(f"{one.value:.6g}"),
            good=whole(ranked[one.number]) or 0,
        )
        for one in sample(pair.trials, DOTS, best)
    ]
    return RankChart(
        metric=points.objective.metric,
        direction=points.objective.direction,
        among=pair.among,
        x=pair.x,
        y=pair.y,
        dots=tuple(sorted(dots, key=lambda dot: (dot.good, -dot.trial))),
        names=pair.names,
        matching=len(pair.trials),
        best=pair.best,
    )


def draw_ranks(folded: RankChart) -> Markup:
    """A dot per trial."""
    x, y = PlotSide.of(folded.x), PlotSide.of(folded.y)
    stride = max(1, -(-len(folded.dots) // DRAWN))
    dots = [
        mark(dot, x, y, class_=f"dot {shade(dot.good / WHOLE)}{_top(dot, folded)}")
        for index, dot in enumerate(folded.dots)
        if index % stride == 0 or dot.trial == folded.best
    ]
    return chart(
        frame_of(x, y),
        *dots,
        label=_("Trials by rank of %(metric)s over %(x)s and %(y)s, %(trials)s")
        % {
            "metric": folded.metric,
            "x": folded.x.path,
            "y": folded.y.path,
            "trials": spoken.quantity(folded.matching, "trial"),
        },
    )


def _top(dot: Dot, folded: RankChart) -> str:
    return " top" if dot.trial == folded.best else ""
