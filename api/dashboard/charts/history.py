"""The optimisation history: `fold_history` picks what is shown, `draw_history` writes the SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from markupsafe import Markup

from api.dashboard import spoken
from api.dashboard.charts.axes import Axis, linear, robust
from api.dashboard.charts.frame import POINTS, chart, finite, grid
from api.dashboard.charts.sample import columns, representative, short
from api.dashboard.charts.svg import element, percent, steps, stretched
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.service.results import HistoryRow
from tuner.spec.states import TrialState
from tuner.spec.study import Objective


@dataclass(frozen=True, slots=True)
class Mark:
    """One ended trial: its place on the axis, its state and its value."""

    place: float
    trial: int
    state: TrialState
    value: float | None


@dataclass(frozen=True, slots=True)
class HistoryData:
    """The history as a script draws it: of each mark a cell in every column.

    A mark that stopped early did so after `steps` of its `epochs`; `low` and `high` hold all but
    the far tail of failures.
    """

    metric: str
    axis: str
    better_high: bool
    base: float | None
    best: tuple[tuple[float, float], ...]
    best_trial: int | None
    low: float
    high: float
    across: float
    ended: int
    rungs: tuple[int, ...]
    trials: tuple[object, ...]
    places: tuple[object, ...]
    values: tuple[object, ...]
    states: tuple[object, ...]
    steps: tuple[object, ...]
    epochs: tuple[object, ...]
    params: tuple[object, ...]


class MarkFacts(Protocol):
    """What is known of a trial beside its result."""

    @property
    def params(self) -> Mapping[str, object]:
        """What it was drawn with."""
        ...

    @property
    def step(self) -> int:
        """Where it stopped."""
        ...

    @property
    def epochs(self) -> int:
        """Its full budget."""
        ...


@dataclass(frozen=True, slots=True)
class HistoryChart:
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


def fold_history(
    points: Sequence[HistoryRow],
    objective: Objective,
    *,
    base: float | None = None,
    limit: int = POINTS,
    axis: Literal["trials", "epochs", "hours"] = "trials",
) -> HistoryChart:
    """Keep every improvement, and of the other trials about `limit` that stand for all.

    `axis` is what lies across: the order of ending, or what the whole study had spent by then.
    """
    better_high = objective.direction == "maximize"
    places = _spent(points, axis)
    reached = [finite(point.value) for point in points]
    best: list[tuple[float, float]] = []
    record: set[int] = set()
    holder = None
    for index, point in enumerate(points):
        value = finite(point.best)
        if value is not None and (not best or objective.is_better(value, best[-1][1])):
            best.append((places[index], value))
            record.add(index)
            holder = point.trial
    record.update(representative(reached, limit))
    kept = tuple(
        Mark(places[index], points[index].trial, points[index].state, reached[index])
        for index in sorted(record)
    )
    values = [mark.value for mark in kept if mark.value is not None]
    y = robust([*values, *([base] if base is not None else [])], better_high=better_high)
    x = linear((0, max([*places, 0.0]) or 1.0), whole=axis != "hours")
    return HistoryChart(kept, tuple(best), holder, base, len(points), x, y, better_high)


def _spent(points: Sequence[HistoryRow], axis: str) -> list[float]:
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


def draw_history(history: HistoryChart, *, name: str) -> Markup:
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
        label=_("%(metric)s of %(trials)s in the order of ending, best so far %(best)s")
        % {
            "metric": name,
            "trials": spoken.quantity(history.ended, "ended trial"),
            "best": wording.metric(history.best[-1][1] if history.best else None),
        },
    )


def history_data(
    history: HistoryChart,
    facts: Mapping[int, MarkFacts],
    *,
    metric: str,
    axis: str,
    rungs: Sequence[int] = (),
) -> HistoryData:
    """The history for a script, with what each drawn trial was."""
    rows = [
        (
            mark.trial,
            short(mark.place),
            short(mark.value),
            mark.state,
            facts[mark.trial].step,
            facts[mark.trial].epochs,
            wording.params(facts[mark.trial].params),
        )
        for mark in history.marks
    ]
    trials, places, values, states, done, epochs, params = columns(rows, 7)
    return HistoryData(
        metric=metric,
        axis=axis,
        better_high=history.better_high,
        base=history.base,
        best=history.best,
        best_trial=history.best_trial,
        low=history.y.low,
        high=history.y.high,
        across=history.x.high,
        ended=history.ended,
        rungs=tuple(rungs),
        trials=trials,
        places=places,
        values=values,
        states=states,
        steps=done,
        epochs=epochs,
        params=params,
    )


def _mark(history: HistoryChart, mark: Mark) -> Markup:
    title = element(
        "title", f"{spoken.trial(mark.trial)} · {_(mark.state)} · {wording.metric(mark.value)}"
    )
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


def _levels(history: HistoryChart) -> list[Markup]:
    """Names of the two horizontal lines, kept apart by standing on their outer sides."""
    up, down = ("-7", "15") if history.better_high else ("15", "-7")
    found = []
    if history.best:
        value = history.best[-1][1]
        said = {"value": wording.metric(value), "trial": history.best_trial}
        text = _("best %(value)s · #%(trial)s") % said
        found.append(_level(text, history.y.position(value), dy=up, class_="name best"))
    if history.base is not None and (not history.best or history.best[-1][1] != history.base):
        text = f"{spoken.trial(0)} · {wording.metric(history.base)}"
        found.append(_level(text, history.y.position(history.base), dy=down, class_="name base"))
    return found


def _level(text: str, height: float, *, dy: str, class_: str) -> Markup:
    y = percent(1 - height)
    return element("text", text, class_=class_, x="100%", y=y, dy=dy, text_anchor="end")
