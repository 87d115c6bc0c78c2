"""The trial table: what its address asks for, and the links that ask for something else."""

from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlencode

from tuner.spec.states import TrialState

PAGE = 50
HistoryAxis = Literal["trials", "epochs", "hours"]  # what the history is drawn over


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Order, filter and page of the trial table; `skipped` rows stand before the page.

    `axis` belongs to the history above it: one address says all that the page shows.
    """

    sort: str = "number"
    descending: bool = True
    state: TrialState | None = None
    cursor: str | None = None
    skipped: int = 0
    axis: HistoryAxis = "trials"

    @property
    def text(self) -> str:
        """The query string that asks for this, empty for the defaults."""
        parts: dict[str, str | int] = {}
        if self.sort != "number" or not self.descending:
            parts |= {"sort": self.sort, "descending": int(self.descending)}
        if self.state:
            parts["state"] = self.state.value
        if self.cursor:
            parts |= {"cursor": self.cursor, "skipped": self.skipped}
        if self.axis != "trials":
            parts["axis"] = self.axis
        return f"?{urlencode(parts)}" if parts else ""

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
