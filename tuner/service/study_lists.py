"""Lists of studies: searched, in one state or all, in any order, paged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy.orm import Session

from tuner.service import cursors, documents, summaries
from tuner.service.tracks import Track, tracks
from tuner.spec.states import StudyState
from tuner.spec.views import Page, StudySummary
from tuner.store import deletion, study_lists
from tuner.store.engine import Database
from tuner.store.study_lists import Brief, StudyFilter
from tuner.wording import improvement

StudySort = Literal["created", "name", "state", "best", "gain", "progress", "priority", "hours"]
STUDY_SORTS: tuple[StudySort, ...] = get_args(StudySort)
_ASCENDING = frozenset({"name", "state"})  # read from the top; of all others the most comes first
_RECENT = 20  # deleted studies that are offered for restoring
# Those that need somebody's eyes before those that have ended.
_URGENCY = ("running", "queued", "paused", "finished", "failed", "cancelled")
_Key = int | float | str | None


@dataclass(frozen=True, slots=True)
class StudySelection:
    """Which studies a list shows, in which order; None is the order that the key is read in."""

    search: str = ""
    state: StudyState | None = None
    sort: StudySort = "created"
    descending: bool | None = None
    cursor: str | None = None
    limit: int = 50
    owner: str | None = None

    @property
    def is_descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort not in _ASCENDING if self.descending is None else self.descending

    @property
    def filter(self) -> StudyFilter:
        """What the rows must fulfil."""
        return StudyFilter(self.search, self.state, self.owner)


@dataclass(frozen=True, slots=True)
class StudyListing:
    """A page of studies at one moment; by state the number of all that are found by the search.

    `deleted` are those that can still be restored, the last one first.
    """

    page: Page[StudySummary]
    states: Mapping[str, int]
    all: int
    deleted: tuple[StudySummary, ...]


def page(db: Database, selection: StudySelection) -> Page[StudySummary]:
    """The studies that are selected. Raises InvalidInput for a cursor of another list."""
    with db.snapshot() as session:
        return _page(db, session, selection)


def listing(db: Database, selection: StudySelection) -> StudyListing:
    """The studies that are selected, and what stands around them. Raises InvalidInput (cursor)."""
    with db.snapshot() as session:
        hidden = deletion.list_hidden(session, limit=_RECENT)
        states = study_lists.count(session, selection.filter.without_state())
        return StudyListing(
            page=_page(db, session, selection),
            states=states,
            all=sum(study_lists.count(session, StudyFilter()).values()),
            deleted=summaries.summaries(db, session, hidden),
        )


def deleted(db: Database) -> tuple[StudySummary, ...]:
    """Studies that can still be restored, the last deleted first."""
    with db.snapshot() as session:
        return summaries.summaries(db, session, deletion.list_hidden(session, limit=_RECENT))


@dataclass(frozen=True, slots=True)
class DeletedStudy:
    """A study that can be restored, with the name that it had."""

    id: int
    name: str


def find_deleted(db: Database, study: int | str) -> DeletedStudy | None:
    """The study of that id or earlier name that can still be restored, if there is one."""
    with db.reading() as session:
        row = deletion.find(session, study)
        return None if row is None else DeletedStudy(row.id, row.deleted_name or row.name)


def _page(db: Database, session: Session, selection: StudySelection) -> Page[StudySummary]:
    listed = _by_age if selection.sort == "created" else _by_key
    shown, total, following = listed(db, session, selection)
    rows = study_lists.by_id(session, shown)
    return Page(items=summaries.summaries(db, session, rows), next=following, total=total)


_Shown = tuple[Sequence[int], int, str | None]  # ids, how many there are, the next page's cursor


def _by_age(db: Database, session: Session, selection: StudySelection) -> _Shown:
    """The common order, of which the database reads no more than the page."""
    beyond = _beyond(selection)[1] if selection.cursor else None
    found = study_lists.newest(
        session,
        selection.filter,
        descending=selection.is_descending,
        beyond=beyond,
        limit=selection.limit + 1,
    )
    total = sum(study_lists.count(session, selection.filter).values())
    shown = [row.id for row in found[: selection.limit]]
    return shown, total, _next(selection, None, shown[-1]) if len(found) > len(shown) else None


def _by_key(db: Database, session: Session, selection: StudySelection) -> _Shown:
    """Every other order: as much of each study as it takes, sorted here."""
    briefs = study_lists.briefs(session, selection.filter)
    keys = _keys(db, session, briefs, selection.sort)
    placed = sorted((_place(selection, key, study_id), study_id) for study_id, key in keys.items())
    if selection.cursor:
        after = _place(selection, *_beyond(selection))
        placed = [one for one in placed if one[0] > after]
    shown = [study_id for _, study_id in placed[: selection.limit]]
    more = len(placed) > len(shown)
    following = _next(selection, keys[shown[-1]], shown[-1]) if more and shown else None
    return shown, len(briefs), following


def _place(selection: StudySelection, key: _Key, study_id: int) -> tuple[Any, ...]:
    """Where a study stands: those without a key last, of equal ones the newest first."""
    if key is None:
        return (1, 0, -study_id)
    return (0, _Reversed(key) if selection.is_descending else key, -study_id)


@dataclass(frozen=True, slots=True)
class _Reversed:
    """A key of which the greater one comes first, text or number."""

    key: Any

    def __lt__(self, other: "_Reversed") -> bool:
        """Whether it comes before."""
        return bool(other.key < self.key)


def _keys(
    db: Database, session: Session, briefs: Sequence[Brief], sort: StudySort
) -> dict[int, _Key]:
    """What each study is sorted by; None where it has no such thing, or is damaged."""
    known = tracks(db, session, briefs) if sort in {"best", "gain", "progress"} else {}
    confirmed = [one.id for one in briefs if one.confirmations] if sort in {"best", "gain"} else []
    rows = {row.id: row for row in study_lists.by_id(session, confirmed)}

    def best(brief: Brief) -> float | None:
        track = known[brief.id]
        if brief.id not in rows:
            return track.best
        return summaries.result_of(session, rows[brief.id], track).best_value

    def gain(brief: Brief) -> float | None:
        track = known[brief.id]
        found = improvement(best(brief), track.base)
        return found if found is None or track.maximize else -found

    readers: Mapping[str, Callable[[Brief], _Key]] = {
        "name": lambda brief: brief.name,
        "state": lambda brief: _urgency(brief.state),
        "priority": lambda brief: brief.priority,
        "hours": lambda brief: brief.seconds,
        "progress": lambda brief: _progress(brief, known[brief.id]),
        "best": best,
        "gain": gain,
    }
    return {brief.id: _tried(readers[sort], brief) for brief in briefs}


def _tried(read: Callable[[Brief], _Key], brief: Brief) -> _Key:
    try:
        key = read(brief)
    except documents.DAMAGED:
        return None
    fits = cursors.is_text(key) if isinstance(key, str) else cursors.is_number(key)
    return key if fits else None


def _urgency(state: str) -> int:
    return _URGENCY.index(state) if state in _URGENCY else _URGENCY.index("failed")


def _progress(brief: Brief, track: Track) -> float:
    """Share of the trials that it may have which has ended."""
    budget = brief.spec["search"]["trials"] + brief.confirmations + brief.copies
    return float(track.ended / budget)


def _next(selection: StudySelection, key: _Key, study_id: int) -> str:
    return cursors.write(selection.sort, selection.is_descending, key, study_id)


def _beyond(selection: StudySelection) -> tuple[_Key, int]:
    """Key and id of the last study of the page before."""
    is_key = cursors.is_text if selection.sort == "name" else cursors.is_number
    _, _, key, study_id = cursors.read(
        selection.cursor or "",
        [
            lambda part: part == selection.sort,
            lambda part: part is selection.is_descending,
            is_key,
            cursors.is_whole,
        ],
    )
    return key, study_id
