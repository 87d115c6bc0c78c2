"""The data of each interactive chart, by the name that its address has: read, then folded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

from api.dashboard.chart_query import Relation
from api.dashboard.charts.curve_data import CurvesData, curves_data
from api.dashboard.charts.frame import POINTS
from api.dashboard.charts.front_data import FrontData, VolumeData, front_data, volume_data
from api.dashboard.charts.history import HistoryData, fold_history, history_data
from api.dashboard.charts.sources import SourcesData, sources_data
from api.dashboard.charts.survival import SurvivalData, survival_data
from api.dashboard.charts.timeline import TimelineData, fold_timeline, timeline_data
from api.dashboard.relation_data import relation_chart
from api.dashboard.trial_table import TableQuery
from tuner.service.charts import curves as curve_rows
from tuner.service.charts import front as front_rows
from tuner.service.charts import history as history_rows
from tuner.service.charts import sources as source_rows
from tuner.service.charts import survival as survival_rows
from tuner.service.charts import timeline as timeline_rows
from tuner.service.charts.reading import read
from tuner.service.charts.selection import ChartSelection
from tuner.service.results import HistoryRow
from tuner.service.storage import Database
from tuner.spec.study import Objective

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class ChartRequest:
    """What a chart is asked for: the page's address, and how many points the screen has across."""

    query: TableQuery
    points: int

    @property
    def selection(self) -> ChartSelection:
        """The trials that are shown."""
        return selection_of(self.query)


@dataclass(frozen=True, slots=True)
class NoChart:
    """What there is to draw where a study has not what a chart needs."""

    empty: bool = True


def selection_of(query: TableQuery) -> ChartSelection:
    """The trials that the page is about, for its charts."""
    return ChartSelection(query.state, query.filter, query.by)


def history(db: Database, study: str, asked: ChartRequest) -> HistoryData:
    """The optimisation history. Raises NotFound, Unreadable."""

    limit = min(asked.points, POINTS)

    def pick(points: Sequence[HistoryRow], objective: Objective) -> list[int]:
        return [mark.trial for mark in fold_history(points, objective, limit=limit).marks]

    found = history_rows.history(db, study, asked.selection, pick)
    folded = fold_history(
        found.points, found.objective, base=found.base, limit=limit, axis=asked.query.axis
    )
    return history_data(
        folded,
        found.facts,
        metric=found.objective.metric,
        axis=asked.query.axis,
        rungs=found.rungs,
    )


def curves(db: Database, study: str, asked: ChartRequest) -> CurvesData:
    """Learning curves of a metric. Raises NotFound, Unreadable, InvalidInput."""
    charts = asked.query.charts
    found = curve_rows.curves(db, study, asked.selection, charts.curves)
    return curves_data(
        found, over=charts.over, smooth=charts.smooth, scale=charts.scale, points=asked.points
    )


def timeline(db: Database, study: str, asked: ChartRequest) -> TimelineData:
    """Attempts by worker. Raises NotFound, Unreadable, InvalidInput."""
    found = read(db, study, asked.selection, timeline_rows.read)
    return timeline_data(fold_timeline(found, datetime.now(UTC), points=asked.points))


def survival(db: Database, study: str, asked: ChartRequest) -> SurvivalData:
    """What each rung let through. Raises NotFound, Unreadable, InvalidInput."""
    return survival_data(read(db, study, asked.selection, survival_rows.read))


def sources(db: Database, study: str, asked: ChartRequest) -> SourcesData:
    """Where trials come from. Raises NotFound, Unreadable, InvalidInput."""
    return sources_data(read(db, study, asked.selection, source_rows.read))


def front(db: Database, study: str, asked: ChartRequest) -> FrontData | NoChart:
    """Trials over two of the study's metrics. Raises NotFound, Unreadable, InvalidInput."""
    found = read(db, study, asked.selection, front_rows.read)
    if len(found.axes) == 1:
        return NoChart()
    return front_data(found, across=asked.query.charts.across, up=asked.query.charts.up)


def volume(db: Database, study: str, asked: ChartRequest) -> VolumeData:
    """The hypervolume over time. Raises NotFound, Unreadable, InvalidInput."""
    return volume_data(read(db, study, asked.selection, front_rows.read))


Chart = Callable[[Database, str, ChartRequest], "DataclassInstance"]


def _related(name: Relation) -> Chart:
    """The data of a chart of how params and results relate, whichever the page shows."""

    def relate(db: Database, study: str, asked: ChartRequest) -> "DataclassInstance":
        found = relation_chart(db, study, asked.query.charting(relation=name))
        return found or NoChart()

    return relate


CHARTS: Mapping[str, Chart] = {
    "history": history,
    "curves": curves,
    "front": front,
    "volume": volume,
    "timeline": timeline,
    "survival": survival,
    "sources": sources,
    "lineage": sources,
    **{name: _related(name) for name in get_args(Relation)},
}
