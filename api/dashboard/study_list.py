"""All that the list of studies shows, read and folded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from markupsafe import Markup

from api.dashboard import facts
from api.dashboard.charts.spark import draw_spark
from api.dashboard.words import gettext as _
from tuner import wording
from tuner.service import study_lists
from tuner.service.storage import Database
from tuner.service.study_lists import StudySelection, StudySort
from tuner.spec.states import StudyState
from tuner.spec.views import StudySummary
from tuner.wording import improvement

PAGE = 50
_ORDER = ("completed", "pruned", "failed", "cancelled", "running", "paused", "waiting")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What the address of the list asks for; `skipped` studies stand before the page."""

    search: str = ""
    state: StudyState | None = None
    sort: StudySort = "created"
    descending: bool | None = None
    cursor: str | None = None
    skipped: int = 0

    @property
    def selection(self) -> StudySelection:
        """The same for the service."""
        return StudySelection(
            self.search, self.state, self.sort, self.descending, self.cursor, PAGE
        )

    @property
    def text(self) -> str:
        """The query string that asks for this, empty for the defaults."""
        parts: dict[str, str | int] = {}
        if self.search:
            parts["search"] = self.search
        if self.state:
            parts["state"] = self.state.value
        if self.sort != "created" or self.descending is not None:
            parts["sort"] = self.sort
        if self.descending is not None:
            parts["descending"] = int(self.descending)
        if self.cursor:
            parts |= {"cursor": self.cursor, "skipped": self.skipped}
        return f"?{urlencode(parts)}" if parts else ""

    def sorted_by(self, column: StudySort, **_ignored: bool) -> "ListQuery":
        """The first page by this column; a second click turns the order round."""
        turned = not self.selection.is_descending if column == self.sort else None
        return replace(self.first(), sort=column, descending=turned)

    def only(self, state: StudyState | None) -> "ListQuery":
        """The first page of the studies in this state, or of all."""
        return replace(self.first(), state=state)

    def everywhere(self) -> "ListQuery":
        """The same without search and filter."""
        return replace(self.first(), state=None, search="")

    def first(self) -> "ListQuery":
        """The first page of the same list."""
        return replace(self, cursor=None, skipped=0)

    def following(self, cursor: str, shown: int) -> "ListQuery":
        """The page after this one."""
        return replace(self, cursor=cursor, skipped=self.skipped + shown)

    def direction(self, column: str) -> str:
        """How the column is sorted, in the words of `aria-sort`."""
        if column != self.sort:
            return "none"
        return "descending" if self.selection.is_descending else "ascending"


@dataclass(frozen=True, slots=True)
class Row:
    """A study with what its row adds; `left` is in seconds."""

    study: StudySummary
    counts: Mapping[str, int]
    gain: float | None
    tone: str
    left: float | None
    spark: Markup | None


@dataclass(frozen=True, slots=True)
class StudyList:
    """Context of the templates `studies/page.html` and `studies/live.html`.

    `states` are the chips of the filter with the number of studies behind each, `all` is how many
    studies there are whatever is asked for.
    """

    rows: tuple[Row, ...]
    query: ListQuery
    states: Mapping[StudyState, int]
    found: int
    all: int
    total: int
    deleted: tuple[StudySummary, ...]
    first: ListQuery | None
    next: ListQuery | None
    live: str


def study_list(db: Database, query: ListQuery) -> StudyList:
    """A page of studies. Raises InvalidInput (cursor)."""
    seen = study_lists.listing(db, query.selection)
    now, page = datetime.now(UTC), seen.page
    return StudyList(
        rows=tuple(_row(study, now) for study in page.items),
        query=query,
        states={state: seen.states.get(state.value, 0) for state in StudyState},
        found=sum(seen.states.values()),
        all=seen.all,
        total=page.total or 0,
        deleted=seen.deleted,
        first=query.first() if query.cursor else None,
        next=query.following(page.next, len(page.items)) if page.next else None,
        live=f"/partials/studies{query.text}",
    )


def state_counts(study: StudySummary) -> Mapping[str, int]:
    """Trials by state, in the order in which bars and filters show them."""
    return {state: getattr(study.counts, state) for state in _ORDER}


def _row(study: StudySummary, now: datetime) -> Row:
    gain = improvement(study.best_value, study.base_value)
    return Row(
        study=study,
        counts=state_counts(study),
        gain=gain,
        tone=facts.tone(study.objective, gain),
        left=facts.seconds_left(study, now),
        spark=draw_spark(study.trend, label=_trend_words(study)),
    )


def _trend_words(study: StudySummary) -> str:
    if not study.trend:
        return ""
    (_first, before), (ended, best) = study.trend[0], study.trend[-1]
    said = {
        "metric": study.objective.metric,
        "before": wording.metric(before),
        "best": wording.metric(best),
        "ended": ended,
    }
    return _("Best %(metric)s so far: from %(before)s to %(best)s over %(ended)s trials") % said
