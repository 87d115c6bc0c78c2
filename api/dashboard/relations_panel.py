"""How params and results relate, on a study's page: one chart of five, and what narrows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from api.dashboard.charts.contour import ContourChart, draw_contour
from api.dashboard.charts.dimensions import MISSING, AxisOption, ParamAxis
from api.dashboard.charts.edf import EdfChart, draw_edf
from api.dashboard.charts.parallel import ParallelAxis, ParallelChart, draw_parallel
from api.dashboard.charts.ranks import RankChart, draw_ranks
from api.dashboard.charts.slices import SliceChart, draw_slice
from api.dashboard.narrowing import narrowed, said
from api.dashboard.relation_data import RelationChart, folded, selection
from api.dashboard.table_panel import without_mistake
from api.dashboard.trial_table import TableQuery
from tuner.service.charts.points import study_points
from tuner.service.storage import Database
from tuner.service.trial_fields import TrialFields
from tuner.service.trial_points import StudyPoints


@dataclass(frozen=True, slots=True)
class RelationFigure:
    """A drawn chart, or one of its panels, with the name of what it is over."""

    name: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What the filter says of one field, and the page without that."""

    text: str
    without: TableQuery


@dataclass(frozen=True, slots=True)
class AxisChoice:
    """What can be asked of one axis without a mouse: its ends or choices, its place, its absence.

    `earlier` and `later` are pages with the axis moved; None at the ends.
    """

    axis: ParamAxis
    low: str
    high: str
    checked: frozenset[str]
    missing: bool
    earlier: TableQuery | None
    later: TableQuery | None
    hidden: TableQuery | None

    def is_checked(self, option: AxisOption) -> bool:
        """Whether the filter lets a choice through."""
        return option.term in self.checked


@dataclass(frozen=True, slots=True)
class RelationsPanel:
    """One chart with what it is about; `figures` is empty where there is nothing to draw yet."""

    study: int
    metric: str
    query: TableQuery
    chart: RelationChart | None
    figures: tuple[RelationFigure, ...]
    narrowed: tuple[Narrowed, ...]
    axes: tuple[AxisChoice, ...]
    more: Mapping[str, TableQuery]
    searched: int
    lacking: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The chart's name."""
        return self.query.charts.relation


@dataclass(frozen=True, slots=True)
class RelationsPage:
    """Context of the template `relations.html`."""

    relations: RelationsPanel


def relations_page(db: Database, study: int | str, query: TableQuery) -> RelationsPage:
    """The panel by itself. Raises NotFound."""
    panel, _mistake = without_mistake(
        query, lambda asked: relations_panel(study_points(db, study, selection(asked)), asked)
    )
    return RelationsPage(panel)


def relations_panel(points: Sequence[StudyPoints], query: TableQuery) -> RelationsPanel:
    """The panel of what was read. Raises InvalidInput (filter)."""
    own = points[0]
    chart = folded(points, query)
    return RelationsPanel(
        study=own.id,
        metric=own.objective.metric,
        query=query,
        chart=chart,
        figures=_figures(chart),
        narrowed=_narrowed(own.fields, query),
        axes=tuple(_choices(chart, query)) if isinstance(chart, ParallelChart) else (),
        more=_more(chart, query) if isinstance(chart, ParallelChart) else {},
        searched=len(own.space.root),
        lacking=_lacking(points, query),
    )


def _lacking(points: Sequence[StudyPoints], query: TableQuery) -> tuple[str, ...]:
    """Studies that are asked for and cannot stand beside this one."""
    shown = {text for one in points for text in (str(one.id), one.name)}
    return tuple(each for each in query.charts.others if each not in shown)


def _figures(chart: RelationChart | None) -> tuple[RelationFigure, ...]:
    match chart:
        case ParallelChart() if chart.lines:
            return (RelationFigure("", draw_parallel(chart)),)
        case SliceChart() if chart.numbers:
            return tuple(
                RelationFigure(one.axis.path, draw_slice(chart, one)) for one in chart.panels
            )
        case ContourChart() if chart.dots:
            return (RelationFigure("", draw_contour(chart)),)
        case RankChart() if chart.dots:
            return (RelationFigure("", draw_ranks(chart)),)
        case EdfChart() if chart.stairs:
            return (RelationFigure("", draw_edf(chart)),)
    return ()


def _narrowed(fields: TrialFields, query: TableQuery) -> tuple[Narrowed, ...]:
    found = []
    for field, text in said(query.filter, fields).items():
        left = narrowed(query.filter, fields, field, None) if field else ""
        found.append(Narrowed(text, query.filtered(left)))
    return tuple(found)


def _choices(chart: ParallelChart, query: TableQuery) -> list[AxisChoice]:
    paths = [one.axis.path for one in chart.axes[:-1]]
    return [
        _choice(one, _moved(paths, index, query) if index < len(paths) else (None, None, None))
        for index, one in enumerate(chart.axes)
    ]


Moves = tuple[TableQuery | None, TableQuery | None, TableQuery | None]


def _moved(paths: list[str], index: int, query: TableQuery) -> Moves:
    def swapped(other: int) -> TableQuery | None:
        if not 0 <= other < len(paths):
            return None
        order = list(paths)
        order[index], order[other] = order[other], order[index]
        return with_axes(query, order)

    rest = paths[:index] + paths[index + 1 :]
    return swapped(index - 1), swapped(index + 1), with_axes(query, rest) if rest else None


def with_axes(query: TableQuery, paths: Sequence[str]) -> TableQuery:
    """The page with these params as axes."""
    return replace(query, charts=replace(query.charts, axes=",".join(paths)))


def _more(chart: ParallelChart, query: TableQuery) -> Mapping[str, TableQuery]:
    shown = [one.axis.path for one in chart.axes[:-1]]
    return {axis.path: with_axes(query, [*shown, axis.path]) for axis in chart.hidden}


def _choice(one: ParallelAxis, moves: Moves) -> AxisChoice:
    axis = one.axis
    inside = [span for span in one.spans if span != MISSING]
    low = high = ""
    if inside and not axis.options:
        ends = inside[0][0], inside[-1][1]
        low = f"{axis.value(ends[0]):g}" if ends[0] > 0 else ""
        high = f"{axis.value(ends[1]):g}" if ends[1] < 1 else ""
    checked = frozenset(
        option.term
        for option in axis.options
        if not one.spans or any(a <= (axis.place(option.value) or 0.0) <= b for a, b in inside)
    )
    missing = MISSING in one.spans or (bool(axis.options) and not one.spans)
    return AxisChoice(axis, low, high, checked, missing, *moves)
