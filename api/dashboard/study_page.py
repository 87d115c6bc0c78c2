"""All that the page of one study shows: read at one moment, then folded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from api.dashboard import facts, table_panel
from api.dashboard.analysis import AnalysisSection, analysis_section, tab_of
from api.dashboard.best_panel import BestPanel, best_panel
from api.dashboard.charts.curve_data import metric_groups, placed_curves, takes_log
from api.dashboard.charts.curves import draw_curves, fold_curves
from api.dashboard.charts.front import draw_front, draw_volume, fold_front
from api.dashboard.charts.history import draw_history, fold_history
from api.dashboard.images_page import Grid, images_grid
from api.dashboard.relation_data import selection
from api.dashboard.relations_panel import RelationsPanel, relations_panel
from api.dashboard.study_list import state_counts
from api.dashboard.table_panel import TrialTable, understood
from api.dashboard.trial_table import TableQuery
from tuner.service.charts.curves import StudyCurves
from tuner.service.charts.front import axes as front_axes
from tuner.service.details import StudyDetail, study_detail
from tuner.service.storage import Database
from tuner.spec.study import Objective
from tuner.spec.views import FrontView, StudyView
from tuner.wording import improvement, short_paths


@dataclass(frozen=True, slots=True)
class HistoryFigure:
    """The optimisation history; `svg` is None before a trial has ended."""

    svg: Markup | None
    metric: str
    outside: int
    shown: int
    all: int


@dataclass(frozen=True, slots=True)
class CurvesFigure:
    """Learning curves of a metric, of `shown` trials of all that have reported.

    `svg` is None before the first report of it; `groups` are the metrics that there are.
    """

    svg: Markup | None
    metric: str
    groups: Mapping[str, Sequence[str]]
    running: int
    shown: int
    total: int
    has_images: bool
    log: bool


@dataclass(frozen=True, slots=True)
class FrontFigure:
    """The Pareto front, and its hypervolume over time; `axes` are what it can be drawn over."""

    view: FrontView
    svg: Markup
    corner: str
    volume: Markup
    count: int
    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyPage:
    """Context of the templates `study.html` and `study_live.html`.

    `left` is in seconds, `gain` is over trial 0, `columns` are the params' short names.
    """

    study: StudyView
    objective: Objective
    counts: Mapping[str, int]
    gain: float | None
    tone: str
    left: float | None
    best: BestPanel | None
    history: HistoryFigure
    curves: CurvesFigure
    front: FrontFigure | None
    table: TrialTable
    grid: Grid
    query: TableQuery
    columns: Mapping[str, str]
    more_objectives: tuple[str, ...]
    live: str
    events: str
    analysis: AnalysisSection | None
    relations: RelationsPanel | None


def study_page(
    db: Database, study: int | str, query: TableQuery, *, whole: bool = True
) -> StudyPage:
    """The page of a study, or what changes on it: without what a script follows by itself.

    Raises:
        NotFound: no such study, or no such analysis.
        InvalidInput: the sort key, the cursor or a metric.
    """
    tab = tab_of(query).read if whole else None
    found, mistake = table_panel.read(
        query,
        lambda asked: study_detail(
            db,
            study,
            asked,
            curves=query.charts.curves,
            analysis=tab,
            points=selection(query) if whole else None,
        ),
    )
    view = found.study
    difference = improvement(view.best_value, view.base_value)
    return StudyPage(
        study=view,
        objective=view.objective,
        counts=state_counts(view),
        gain=difference,
        tone=facts.tone(view.objective, difference),
        left=_left(view, datetime.now(UTC)),
        best=best_panel(view, found.best),
        history=_history(found, query),
        curves=_curves(view, found.curves, query),
        grid=images_grid(view, found.examples, understood(query, mistake).by),
        front=_front(view, found.front),
        table=table_panel.trial_table(found, query, mistake),
        query=query,
        columns=short_paths(tuple(view.spec.space.root)),
        more_objectives=tuple(item.metric for item in view.spec.objectives[1:]),
        live=f"/partials/studies/{view.id}{query.text}",
        events=facts.events_address(view),
        analysis=analysis_section(found.analysis, view, query) if whole else None,
        relations=(
            relations_panel(found.points, understood(query, mistake)) if found.points else None
        ),
    )


def _left(view: StudyView, now: datetime) -> float | None:
    """Time until the study's end: at the pace so far, or by its deadline if that comes first."""
    bounds = [facts.seconds_left(view, now)]
    if not view.state.has_ended:
        bounds.append(facts.until_deadline(view, now))
    return min((bound for bound in bounds if bound is not None), default=None)


def _history(found: StudyDetail, query: TableQuery) -> HistoryFigure:
    points, by = found.history, found.ranked_by
    folded = fold_history(points, by, base=found.base, axis=query.axis)
    svg = draw_history(folded, name=by.metric) if points else None
    return HistoryFigure(svg, by.metric, folded.outside, shown=len(folded.marks), all=len(points))


def _curves(view: StudyView, found: StudyCurves, query: TableQuery) -> CurvesFigure:
    charts = query.charts
    placed = placed_curves(found, over=charts.over, smooth=charts.smooth)
    epochs = view.spec.most_epochs if charts.over == "epoch" else 1
    folded = fold_curves(placed, best=found.best, epochs=epochs)
    return CurvesFigure(
        svg=draw_curves(folded, name=found.metric) if folded.lines else None,
        metric=found.metric,
        groups=metric_groups(found),
        running=sum(line.role == "running" for line in folded.lines),
        shown=len(found.curves),
        total=found.total,
        has_images=found.counts_images or charts.over == "images",
        log=takes_log(found.metric, charts.scale),
    )


def _front(study: StudyView, view: FrontView | None) -> FrontFigure | None:
    """Charts of the front; None with one objective, or before a trial has completed."""
    if view is None or not view.steps:
        return None
    folded = fold_front(view)
    return FrontFigure(
        view=view,
        svg=draw_front(folded),
        corner=folded.corner,
        volume=draw_volume(view),
        count=sum(one.on_front for one in view.steps),
        axes=front_axes(view.objectives, study.spec.constraints),
    )
