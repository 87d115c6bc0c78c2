"""Charts of a study with several objectives: its front, and the hypervolume over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.axes import Axis, linear, robust
from api.dashboard.charts.frame import POINTS, chart, grid
from api.dashboard.charts.svg import element, line, percent, steps, stretched
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.spec.study import Objective
from tuner.spec.views import FrontStep, FrontView


@dataclass(frozen=True, slots=True)
class Front:
    """Trials over the first two objectives: the second across, the first upwards."""

    marks: tuple[FrontStep, ...]
    objectives: tuple[Objective, ...]
    x: Axis
    y: Axis
    trials: int

    @property
    def corner(self) -> str:
        """Where on the chart both objectives are better."""
        up, across = (objective.direction == "maximize" for objective in self.objectives[:2])
        return f"{'top' if up else 'bottom'} {'right' if across else 'left'}"


def fold_front(view: FrontView, *, limit: int = POINTS) -> Front:
    """Keep every trial on the front, and of the others an even sample of about `limit`."""
    stride = max(1, ceil(len(view.steps) / limit))
    marks = [one for place, one in enumerate(view.steps) if one.on_front or place % stride == 0]
    up, across = view.objectives[:2]
    return Front(
        marks=tuple(sorted(marks, key=lambda one: one.on_front)),
        objectives=view.objectives,
        x=_axis(marks, 1, across),
        y=_axis(marks, 0, up),
        trials=len(view.steps),
    )


def draw_front(front: Front) -> Markup:
    """A dot per trial; those on the front are joined by a line if there are two objectives."""
    best = [one for one in front.marks if one.on_front]
    names = [objective.metric for objective in front.objectives]
    stairs = [_stairs(front, best)] if len(names) == 2 and len(best) > 1 else []
    return chart(
        grid(front.x, front.y),
        *stairs,
        *(_mark(front, one) for one in front.marks),
        label=_("%(up)s against %(across)s of %(trials)s, %(count)s of them on the Pareto front")
        % {
            "up": names[0],
            "across": names[1],
            "trials": spoken.quantity(front.trials, "trial"),
            "count": len(best),
        },
    )


def draw_volume(view: FrontView) -> Markup:
    """The hypervolume in the order of ending: a staircase that never falls."""
    rises = [
        (place, one.hypervolume)
        for place, one in enumerate(view.steps, start=1)
        if place == 1 or one.hypervolume > view.steps[place - 2].hypervolume
    ]
    stride = max(1, ceil(len(rises) / POINTS))
    kept = [rise for at, rise in enumerate(rises, start=1) if at % stride == 0 or at == len(rises)]
    x = linear((0, max(len(view.steps), 1)), whole=True)
    y = linear([0.0, *(volume for _, volume in kept)], count=4)
    path = steps((x.position(place), y.position(volume)) for place, volume in kept)
    return chart(
        grid(x, y),
        stretched(element("path", class_="best", d=path)),
        label=_("Hypervolume of the front over %(trials)s, now %(volume)s")
        % {
            "trials": spoken.quantity(len(view.steps), "completed trial"),
            "volume": wording.number(view.hypervolume),
        },
    )


def _axis(marks: Sequence[FrontStep], place: int, objective: Objective) -> Axis:
    """The whole front, and of what is beaten all but the far tail of failures."""
    most = robust(
        [one.values[place] for one in marks], better_high=objective.direction == "maximize"
    )
    front = [one.values[place] for one in marks if one.on_front]
    room = (max(front) - min(front)) * 0.06
    return linear((most.low, most.high, min(front) - room, max(front) + room), count=4)


def _mark(front: Front, one: FrontStep) -> Markup:
    values = ", ".join(
        f"{objective.metric} {wording.measure(value)}"
        for objective, value in zip(front.objectives, one.values, strict=True)
    )
    return element(
        "circle",
        element("title", f"{spoken.trial(one.trial)} · {values}"),
        class_="front" if one.on_front else "behind",
        cx=percent(front.x.position(one.values[1])),
        cy=percent(1 - front.y.position(one.values[0])),
        r="4" if one.on_front else "2.6",
        data_trial=one.trial,
    )


def _stairs(front: Front, best: list[FrontStep]) -> Markup:
    """A staircase through the front: between two of its trials nothing better is known."""
    places = sorted(
        (front.x.position(one.values[1]), front.y.position(one.values[0])) for one in best
    )
    # With the better end on the right a trial holds its height to its own left.
    rightwards = front.objectives[1].direction == "maximize"
    joined = places[:1]
    for before, after in pairwise(places):
        corner = (before[0], after[1]) if rightwards else (after[0], before[1])
        joined += [corner, after]
    return stretched(element("path", class_="best", d=line(joined)))
