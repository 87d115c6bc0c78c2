"""What the charts of a study's page show: a part of the page's address, as the table's order is."""

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from fastapi import Query

from api.dashboard.charts.sequential import AmongTrials
from tuner.service.charts.curves import CurveChoice, Pick

Over = Literal["epoch", "images", "time"]
Scale = Literal["linear", "log"]
Relation = Literal["parallel", "slices", "contour", "ranks", "edf"]
_Tab = Annotated[str, Query(max_length=40, pattern=r"^[a-z_]+$")]
_Metric = Annotated[str, Query(max_length=300)]


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """State of all charts, each field with the name that it has in the address.

    `metric`, `smooth`, `over`, `scale`, `pick` and `lines` are those of the learning curves,
    `across` and `up` the axes of the front, `analysis` is the tab that is open. `relation` is the
    chart of how params and results relate, `axes` its params, `x` and `y` those of charts over two,
    `among` which trials it shows, and `against` which other studies.
    """

    metric: _Metric | None = None
    smooth: Annotated[float, Query(ge=0, le=0.99)] = 0.0
    over: Over = "epoch"
    scale: Scale | None = None
    pick: Pick = "recent"
    lines: Annotated[int, Query(ge=1, le=300)] = 40
    across: _Metric | None = None
    up: _Metric | None = None
    analysis: _Tab = "timeline"
    relation: Relation = "parallel"
    axes: Annotated[str, Query(max_length=4000)] = ""
    x: _Metric | None = None
    y: _Metric | None = None
    among: AmongTrials | None = None
    against: Annotated[str, Query(max_length=600)] = ""

    @property
    def curves(self) -> CurveChoice:
        """Which curves are drawn."""
        return CurveChoice(self.metric, self.pick, self.lines)

    @property
    def paths(self) -> tuple[str, ...]:
        """The params that are shown, in order; empty: those that matter most."""
        return tuple(path for path in self.axes.split(",") if path)

    @property
    def others(self) -> tuple[str, ...]:
        """Ids or names of the studies that stand beside this one."""
        return tuple(name for each in self.against.split(",") if (name := each.strip()))

    @property
    def parts(self) -> dict[str, str]:
        """What differs from the defaults, as parts of a query string."""
        return {
            each.name: f"{value:g}" if isinstance(value, float) else str(value)
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default
        }
