"""The section "Analysis" of a study's page: of its tabs one is open, the others cost nothing.

A tab is one entry of `TABS` and one template `study/NAME.html`, which finds what `fold` gave as
`analysis.content`. What `read` gives it reads in the transaction of the page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.dashboard.chart_data import selection_of
from api.dashboard.charts.sources import source_rows
from api.dashboard.charts.timeline import fold_timeline
from api.dashboard.table_panel import without_mistake
from api.dashboard.trial_table import TableQuery
from api.dashboard.words import gettext as _
from tuner.errors import NotFound
from tuner.service.charts import sources, survival, timeline
from tuner.service.charts.reading import ReadChart
from tuner.service.details import analysis_detail
from tuner.service.storage import Database
from tuner.spec.views import StudyView


@dataclass(frozen=True, slots=True)
class Tab:
    """What an open tab reads, and what its template gets."""

    label: Callable[[], str]
    read: ReadChart
    fold: Callable[[Any, StudyView, TableQuery], Any] = lambda found, _study, _query: found


@dataclass(frozen=True, slots=True)
class AnalysisSection:
    """Context of the template `study/analysis.html`: the tabs by name, and the open one."""

    tabs: tuple[tuple[str, str], ...]
    tab: str
    content: Any


@dataclass(frozen=True, slots=True)
class AnalysisPage:
    """Context of the template `study/analysis.html` where it is asked for by itself."""

    study: StudyView
    query: TableQuery
    analysis: AnalysisSection


TABS: Mapping[str, Tab] = {
    "timeline": Tab(
        lambda: _("Timeline"),
        timeline.read,
        lambda found, _study, _query: fold_timeline(found, datetime.now(UTC)),
    ),
    "survival": Tab(lambda: _("Rung survival"), survival.read),
    "sources": Tab(
        lambda: _("Sources"),
        sources.read_with_earnings,
        lambda found, _study, _query: (found, source_rows(found)),
    ),
}


def tab_of(query: TableQuery) -> Tab:
    """The tab that is open. Raises NotFound."""
    name = query.charts.analysis
    if name not in TABS:
        raise NotFound(f"no analysis is called '{name}'; there are {', '.join(TABS)}")
    return TABS[name]


def analysis_page(db: Database, study: str, query: TableQuery) -> AnalysisPage:
    """The section by itself. Raises NotFound, Unreadable."""
    tab = tab_of(query)
    (view, found), _mistake = without_mistake(
        query, lambda asked: analysis_detail(db, study, selection_of(asked), tab.read)
    )
    return AnalysisPage(view, query, analysis_section(found, view, query))


def analysis_section(found: Any, study: StudyView, query: TableQuery) -> AnalysisSection:
    """The section with what its open tab has read."""
    return AnalysisSection(
        tabs=tuple((name, tab.label()) for name, tab in TABS.items()),
        tab=query.charts.analysis,
        content=tab_of(query).fold(found, study, query),
    )
