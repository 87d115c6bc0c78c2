"""The page that compares trials: read at one moment, each beside the first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from api.dashboard import addresses
from api.dashboard.addresses import TrialAddress
from api.dashboard.charts.overlay import Overlay, draw_overlay, fold_overlay
from api.dashboard.format import flatten
from api.dashboard.masks_panel import ComparedMasks, compared_masks
from api.dashboard.trial_table import MOST_SELECTED
from api.dashboard.words import gettext as _
from tuner.service.side_by_side import ComparedTrial, SideBySide, side_by_side
from tuner.service.storage import Database
from tuner.spec.metrics import LOSSES, MEASURED, MINIMIZED, SUMMARIES, by_class
from tuner.spec.space import same
from tuner.spec.study import Objective
from tuner.spec.views import TrialView

LETTERS = "ABCDEFGH"
_ABSENT = object()
_TABULAR = ("lr",)  # metrics that no comparison is about


@dataclass(frozen=True, slots=True)
class CompareQuery:
    """Which trials are compared, by which metric and on which image.

    With `all` params that are equal are shown as well.
    """

    trials: tuple[TrialAddress, ...] = ()
    metric: str = ""
    all: bool = False
    image: int | None = None

    @property
    def text(self) -> str:
        """The query string that asks for this."""
        parts = {"trials": addresses.write(self.trials), "metric": self.metric}
        parts["all"] = "1" if self.all else ""
        parts["image"] = "" if self.image is None else str(self.image)
        asked = {name: value for name, value in parts.items() if value}
        return f"?{urlencode(asked, safe=':,')}" if asked else ""

    def showing(self, image: int) -> "CompareQuery":
        """The same of another image."""
        return replace(self, image=image)


@dataclass(frozen=True, slots=True)
class Compared:
    """One trial of the comparison, its letter, and addresses without it and with it as first."""

    letter: str
    place: int
    trial: TrialView
    objective: Objective
    without: str
    as_first: str


@dataclass(frozen=True, slots=True)
class ComparedCell:
    """A value beside the first one's: `share` of the row's largest, `tone` of the difference.

    A value that `is_time` is in seconds.
    """

    value: Any
    difference: float | None = None
    tone: str = ""
    share: float | None = None
    is_best: bool = False
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One thing that trials have, in their order; `differs` where not all have the same."""

    name: str
    cells: tuple[ComparedCell, ...]
    differs: bool = True


@dataclass(frozen=True, slots=True)
class ComparePage:
    """Context of the templates `compare/page.html` and `compare/live.html`.

    `equal` is the number of params that are the same in all, `notes` say what is not shown.
    """

    trials: tuple[Compared, ...]
    notes: tuple[str, ...]
    metric: str
    metrics: tuple[str, ...]
    masks: ComparedMasks | None
    svg: Markup | None
    params: tuple[ComparedRow, ...]
    equal: int
    results: tuple[ComparedRow, ...]
    classes: tuple[ComparedRow, ...]
    costs: tuple[ComparedRow, ...]
    query: CompareQuery
    turned: str
    has_ended: bool


@dataclass(frozen=True, slots=True)
class OverlayLine:
    """One trial's points of epoch and value; `place` is its turn, from 0."""

    letter: str
    place: int
    study: str
    trial: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class OverlayData:
    """What the interactive chart draws."""

    metric: str
    lines: tuple[OverlayLine, ...]


def overlay_data(db: Database, query: CompareQuery) -> OverlayData:
    """Curves of the metric, each thinned so that none of its extremes is lost."""
    found = side_by_side(db, query.trials[:MOST_SELECTED], metric=query.metric or None)
    folded = _fold(found)
    lines = (
        OverlayLine(
            line.letter,
            line.place,
            found.trials[line.place].trial.study,
            found.trials[line.place].trial.number,
            line.points,
        )
        for line in folded.lines
    )
    return OverlayData(found.metric, tuple(lines))


def compare_page(db: Database, query: CompareQuery) -> ComparePage:
    """The comparison of up to eight trials; more, and those that are not there, are noted."""
    found = side_by_side(db, query.trials[:MOST_SELECTED], metric=query.metric or None)
    trials = [one.trial for one in found.trials]
    places = (TrialAddress(*place) for place in found.chosen)
    query = replace(query, trials=(*places, *query.trials[MOST_SELECTED:]))
    rows = _params(trials)
    return ComparePage(
        trials=tuple(_compared(query, place, one) for place, one in enumerate(found.trials)),
        notes=_notes(query, found),
        metric=found.metric,
        metrics=_metrics(trials),
        masks=compared_masks([one.examples for one in found.trials], query.image),
        svg=_overlay(found),
        params=tuple(row for row in rows if row.differs or query.all),
        equal=sum(not row.differs for row in rows),
        results=_results(trials),
        classes=_classes(trials),
        costs=_costs(trials),
        query=query,
        turned=replace(query, all=not query.all).text,
        has_ended=all(trial.state.has_ended for trial in trials),
    )


def _compared(query: CompareQuery, place: int, one: ComparedTrial) -> Compared:
    own = TrialAddress(one.trial.study_id, one.trial.number)
    others = tuple(each for each in query.trials if each != own)
    return Compared(
        letter=LETTERS[place],
        place=place,
        trial=one.trial,
        objective=one.objective,
        without=replace(query, trials=others).text,
        as_first=replace(query, trials=(own, *others)).text,
    )


def _notes(query: CompareQuery, found: SideBySide) -> tuple[str, ...]:
    notes = list(found.missing)
    if left := query.trials[MOST_SELECTED:]:
        said = {"most": MOST_SELECTED, "left": ", ".join(map(str, left[:20]))}
        notes.append(_("Up to %(most)s trials are compared; left out: %(left)s.") % said)
    if len(found.trials) == 1:
        notes.append(_("One trial alone has nothing to be compared with: add another."))
    if len({one.trial.config.dataset.classes for one in found.trials}) > 1:
        notes.append(_("These trials do not have the same classes: they are compared by name."))
    elif len({_data_set(one.trial) for one in found.trials}) > 1:
        notes.append(_("These trials were not trained on the same data: their numbers say less."))
    if len({one.objective.metric for one in found.trials}) > 1:
        notes.append(_("Their studies have different objectives."))
    return tuple(notes)


def _data_set(trial: TrialView) -> tuple[Any, ...]:
    options = trial.config.dataset.options
    return trial.config.dataset.format, options.get("root"), trial.data_version


def _fold(found: SideBySide) -> Overlay:
    return fold_overlay(
        [
            (LETTERS[place], one.curve.steps, one.curve.values)
            for place, one in enumerate(found.trials)
        ]
    )


def _overlay(found: SideBySide) -> Markup | None:
    overlay = _fold(found)
    return draw_overlay(overlay, name=found.metric) if overlay.lines else None


def _metrics(trials: Sequence[TrialView]) -> tuple[str, ...]:
    """Every metric that one of them reported, the summaries first."""
    names = dict.fromkeys(name for trial in trials for name in trial.metrics)
    first = [name for name in (*SUMMARIES, *LOSSES) if name in names]
    return tuple(dict.fromkeys((*first, *sorted(names))))


def _params(trials: Sequence[TrialView]) -> tuple[ComparedRow, ...]:
    """Every path of their configs, the ones that any of them searched first."""
    configs = [flatten(trial.config.model_dump(mode="json")) for trial in trials]
    searched = dict.fromkeys(path for trial in trials for path in trial.params)
    paths = dict.fromkeys((*searched, *(path for config in configs for path in config)))
    return tuple(_param(path, [config.get(path, _ABSENT) for config in configs]) for path in paths)


def _param(path: str, values: Sequence[Any]) -> ComparedRow:
    cells = tuple(ComparedCell(None if value is _ABSENT else value) for value in values)
    differs = any(not same(value, values[0]) for value in values)
    return ComparedRow(path, cells, differs)


def _results(trials: Sequence[TrialView]) -> tuple[ComparedRow, ...]:
    """Metrics of the epoch that counts which belong to no class."""
    names = [
        name for name in _metrics(trials) if not name.startswith("iou.") or name == "iou.worst"
    ]
    return tuple(
        _numbers(name, [trial.metrics.get(name) for trial in trials])
        for name in names
        if name not in (*MEASURED, *_TABULAR)
    )


def _classes(trials: Sequence[TrialView]) -> tuple[ComparedRow, ...]:
    """IoU of each class by its name, in the order of the first trial's data set."""
    scores = [_class_scores(trial) for trial in trials]
    names = dict.fromkeys(name for trial in trials for name in trial.config.dataset.classes)
    rows = [_numbers(name, [own.get(name) for own in scores], scale=1.0) for name in names]
    return tuple(row for row in rows if any(cell.value is not None for cell in row.cells))


def _class_scores(trial: TrialView) -> Mapping[str, float]:
    classes = trial.config.dataset.classes
    if trial.confusion is not None and len(trial.confusion) == len(classes):
        return {classes[k]: iou for k, iou in by_class(trial.confusion)["iou"].items()}
    found = {name: trial.metrics.get(f"iou.{name}") for name in classes}
    return {name: value for name, value in found.items() if value is not None}


def _costs(trials: Sequence[TrialView]) -> tuple[ComparedRow, ...]:
    """What they took, and what their networks cost where they are to run."""
    took: dict[str, list[float | None]] = {
        _("epochs"): [trial.step for trial in trials],
        _("attempts"): [trial.attempts for trial in trials],
    }
    times: dict[str, list[float | None]] = {
        _("device time"): [trial.seconds or None for trial in trials],
        _("time per epoch"): [
            trial.seconds / trial.step if trial.step and trial.seconds else None for trial in trials
        ],
    }
    rows = [_numbers(name, values, neutral=True) for name, values in took.items()]
    rows[1:1] = [_times(_numbers(name, values, neutral=True)) for name, values in times.items()]
    rows += [_numbers(name, [trial.metrics.get(name) for trial in trials]) for name in MEASURED]
    return tuple(row for row in rows if any(cell.value is not None for cell in row.cells))


def _times(row: ComparedRow) -> ComparedRow:
    return replace(row, cells=tuple(replace(cell, is_time=True) for cell in row.cells))


def _numbers(
    name: str, values: Sequence[float | None], *, neutral: bool = False, scale: float | None = None
) -> ComparedRow:
    """Numbers beside the first; with `neutral` neither more nor less of it is better."""
    rises = None if neutral else name not in MINIMIZED
    known = [value for value in values if value is not None]
    best = None
    if rises is not None and len(set(known)) > 1:
        best = max(known) if rises else min(known)
    cells = tuple(
        ComparedCell(
            value,
            difference=_difference(value, values[0]) if place else None,
            tone=_tone(value, values[0], rises) if place else "",
            share=value / scale if scale and value is not None else None,
            is_best=value is not None and value == best,
        )
        for place, value in enumerate(values)
    )
    return ComparedRow(name, cells, len(set(values)) > 1)


def _difference(value: float | None, first: float | None) -> float | None:
    return None if value is None or first is None else value - first


def _tone(value: float | None, first: float | None, rises: bool | None) -> str:
    """Whether a value is better than the first one or worse, as far as the page shows it."""
    if value is None or first is None or rises is None or round(value - first, 3) == 0:
        return ""
    return "good" if (value > first) is rises else "bad"
