"""The trial table: what its address asks for, and the links that ask for something else."""

from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlencode

from api.dashboard.chart_query import ChartQuery
from tuner.spec.metrics import MINIMIZED
from tuner.spec.states import TrialState

PAGE = 50
MOST_SELECTED = 8  # trials that an address carries, and that can be compared
HistoryAxis = Literal["trials", "epochs", "hours"]  # what the history is drawn over


def usual_order(by: str) -> tuple[str, bool]:
    """How trials are sorted where nobody says so: the newest first, or the best of a metric."""
    return (by, by not in MINIMIZED) if by else ("number", True)


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Which trials the page of a study is about: one address says all that it shows.

    `filter` and `by`, a metric that values are taken from in place of the objective, count for
    the charts as for the table. `columns` are those of the table by name, empty for the usual
    ones; `skipped` rows stand before its page. `axis` is what the history is drawn over,
    `charts` what the others show.
    """

    sort: str = "number"
    descending: bool = True
    state: TrialState | None = None
    cursor: str | None = None
    skipped: int = 0
    axis: HistoryAxis = "trials"
    filter: str = ""
    by: str = ""
    columns: tuple[str, ...] = ()
    selected: tuple[int, ...] = ()
    charts: ChartQuery = field(default_factory=ChartQuery)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Names and values of the query string; the defaults are left out."""
        parts: list[tuple[str, str]] = []
        if self.filter:
            parts.append(("filter", self.filter))
        if self.by:
            parts.append(("by", self.by))
        if (self.sort, self.descending) != usual_order(self.by):
            parts += [("sort", self.sort), ("descending", str(int(self.descending)))]
        if self.state:
            parts.append(("state", self.state.value))
        parts += [("columns", name) for name in self.columns]
        if self.selected:
            parts.append(("selected", ",".join(map(str, self.selected))))
        if self.cursor:
            parts += [("cursor", self.cursor), ("skipped", str(self.skipped))]
        if self.axis != "trials":
            parts.append(("axis", self.axis))
        return (*parts, *self.charts.parts.items())

    @property
    def text(self) -> str:
        """The query string that asks for this, empty for the defaults."""
        return f"?{urlencode(self.pairs)}" if self.pairs else ""

    def without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """What a form must carry beside its own fields so that the rest stays as it is."""
        own = {*names, "cursor", "skipped"}
        return tuple(pair for pair in self.pairs if pair[0] not in own)

    def sorted_by(self, column: str, *, descending_first: bool = False) -> "TableQuery":
        """The first page by this column; a second click turns the order round."""
        turned = not self.descending if column == self.sort else descending_first
        return replace(self, sort=column, descending=turned, cursor=None, skipped=0)

    def only(self, state: str | None) -> "TableQuery":
        """The first page of the trials in this state, or of all."""
        wanted = TrialState(state) if state else None
        return replace(self, state=wanted, cursor=None, skipped=0)

    def along(self, axis: HistoryAxis) -> "TableQuery":
        """The same, with the history drawn over something else."""
        return replace(self, axis=axis)

    def filtered(self, filter_: str = "") -> "TableQuery":
        """The first page of what another filter lets through."""
        return replace(self, filter=filter_, cursor=None, skipped=0)

    def ranked_by(self, metric: str = "") -> "TableQuery":
        """The first page with values of another metric; empty for the objective."""
        sort, descending = usual_order(metric)
        return replace(self, by=metric, sort=sort, descending=descending, cursor=None, skipped=0)

    def showing(self, *columns: str) -> "TableQuery":
        """The same with these columns, or with the usual ones."""
        return replace(self, columns=columns)

    def charting(self, **chosen: object) -> "TableQuery":
        """The same, with charts that show something else."""
        return replace(self, charts=replace(self.charts, **chosen))  # type: ignore[arg-type]  # each field is checked when the link is followed

    def first(self) -> "TableQuery":
        """The first page of the same list."""
        return replace(self, cursor=None, skipped=0)

    def following(self, cursor: str, shown: int) -> "TableQuery":
        """The page after this one."""
        return replace(self, cursor=cursor, skipped=self.skipped + shown)

    def direction(self, column: str) -> str:
        """How the column is sorted, in the words of `aria-sort`."""
        if column != self.sort:
            return "none"
        return "descending" if self.descending else "ascending"

    @property
    def images(self) -> str:
        """The query string of all images of these trials, in the order of the page's few."""
        parts = {"filter": self.filter, "state": self.state.value if self.state else ""}
        asked = {name: value for name, value in parts.items() if value}
        if self.by:
            asked["sort"] = self.by
            asked["descending"] = str(int(usual_order(self.by)[1]))
        return f"?{urlencode(asked)}" if asked else ""

    @property
    def download(self) -> str:
        """The query string of the whole table as a file: its trials and order, and its metric."""
        parts = {"filter": self.filter, "sort": self.sort, "metrics": self.by}
        asked = {name: value for name, value in parts.items() if value}
        asked["descending"] = str(int(self.descending))
        if self.state:
            asked["state"] = self.state.value
        return f"?{urlencode(asked)}"
