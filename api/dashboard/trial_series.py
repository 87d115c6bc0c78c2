"""A trial's metrics as curves: which there are, which are shown, and over what; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.dashboard.trial_query import Across, TrialChoice, View
from tuner.spec.metrics import MEASURED, SUMMARIES
from tuner.spec.study import StudySpec
from tuner.spec.views import StepView

MOST = 12  # curves that are shown without being chosen by name
MOST_CHOSEN = 24
SPEED = ("images_per_second", "data_wait", "gpu_utilisation", "peak_memory_mb", "seconds")
_OVERVIEW = ("iou.worst", "train_loss", "lr", "images_per_second", "data_wait")
_HIDDEN = frozenset({*MEASURED, "images"})  # the same at every step, or an axis
_UNITS: Mapping[str, str] = {
    "images_per_second": "images/s",
    "peak_memory_mb": "MB",
    "seconds": "s",
}
Groups = Mapping[View, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric over a trial; `name` is a class's own where it is about one."""

    metric: str
    name: str
    unit: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class AxisPlaces:
    """Where each step lies on an axis, and where the whole training ends on it.

    `unit` is what is counted; `resumed` are the places at which another attempt went on.
    """

    axis: Across
    unit: str
    at: tuple[float, ...]
    end: float
    resumed: tuple[float, ...]


def groups(steps: Sequence[StepView], spec: StudySpec) -> Groups:
    """Every metric that the steps have, by what it is about; the objectives stand first."""
    names = dict.fromkeys(name for step in steps for name in step.metrics if name not in _HIDDEN)
    if any(step.seconds for step in steps):
        names["seconds"] = None
    classes = [f"iou.{name}" for name in spec.dataset.classes]
    first = [*(objective.metric for objective in spec.objectives), *SUMMARIES]
    about = {*classes, *SPEED}
    rest = [name for name in names if name not in about]
    ordered = sorted(rest, key=lambda name: first.index(name) if name in first else len(first))
    wanted = [*(objective.metric for objective in spec.objectives), *_OVERVIEW]
    return {
        "overview": tuple(dict.fromkeys(name for name in wanted if name in names)),
        "scores": tuple(ordered),
        "classes": tuple(name for name in classes if name in names),
        "speed": tuple(name for name in SPEED if name in names),
    }


def shown(query: TrialChoice, known: Groups, steps: Sequence[StepView]) -> tuple[str, ...]:
    """The metrics to draw: those chosen by name, or a view's; of many classes the worst."""
    there = {name for names in known.values() for name in names}
    chosen = [name for name in dict.fromkeys(query.metrics) if name in there]
    if chosen:
        return tuple(chosen[:MOST_CHOSEN])
    names = known[query.view]
    if query.view == "classes" and len(names) > MOST:
        last = steps[-1].metrics
        return tuple(sorted(names, key=lambda name: last.get(name, math.inf))[:MOST])
    return names[:MOST_CHOSEN]


def places(steps: Sequence[StepView], axis: Across, epochs: int) -> AxisPlaces:
    """Places of the steps on an axis; on that of epochs where the steps do not say another's."""
    at, unit = [float(step.step) for step in steps], "epochs"
    if axis == "images" and has_images(steps):
        at, unit = [step.metrics["images"] for step in steps], "images"
    elif axis == "time":
        at, unit = _times(steps)
    else:
        axis = "epochs"
    resumed = [
        place
        for place, step, before in zip(at[1:], steps[1:], steps[:-1], strict=True)
        if step.attempt != before.attempt
    ]
    # What is left of the training takes as much of the axis as it did so far.
    end = at[-1] * epochs / steps[-1].step if steps else float(epochs)
    return AxisPlaces(axis, unit, tuple(at), max([end, *at[-1:]]), tuple(resumed))


def has_images(steps: Sequence[StepView]) -> bool:
    """Whether every step says how many images were seen; workers of earlier releases do not."""
    return bool(steps) and all("images" in step.metrics for step in steps)


def series(
    names: Sequence[str], steps: Sequence[StepView], where: AxisPlaces, classes: Sequence[str]
) -> tuple[Series, ...]:
    """The curves of these metrics, without steps at which one is missing."""
    own = {f"iou.{name}": name for name in classes}
    found = []
    for metric in names:
        values = [_value(step, metric) for step in steps]
        points = tuple(
            (place, value)
            for place, value in zip(where.at, values, strict=True)
            if value is not None
        )
        name = own.get(metric, metric)
        found.append(Series(metric, name, _UNITS.get(metric, ""), points))
    return tuple(each for each in found if each.points)


def _value(step: StepView, metric: str) -> float | None:
    value = step.metrics.get(metric)
    return step.seconds if value is None and metric == "seconds" else value


def _times(steps: Sequence[StepView]) -> tuple[list[float], str]:
    """Time trained up to each step, in the largest unit that leaves more than one of it."""
    at, total = list[float](), 0.0
    for step in steps:
        total += step.seconds
        at.append(total)
    for span, unit in ((3600, "hours"), (60, "minutes")):
        if total >= 2 * span:
            return [place / span for place in at], unit
    return at, "seconds"
