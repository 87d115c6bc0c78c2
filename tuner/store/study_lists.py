"""Studies as lists need them: searched, counted, and what of their trials has ended."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from tuner.spec.states import StudyState, TrialState
from tuner.store.tables import Study, Trial

_WORDS = 8  # of a search; more of them find no better
_TOGETHER = 200  # studies of one query; databases limit the length of IN
_ENDED = tuple(state for state in TrialState if state.has_ended)
# What a word is looked for in: the name, the data set, and the networks, searched ones included.
_TEXTS = (
    Study.name.expression,
    *(
        Study.spec[path].as_string()
        for path in (
            ("dataset", "format"),
            ("dataset", "root"),
            ("base", "model", "decoder"),
            ("base", "model", "encoder"),
            ("space", "model.decoder"),
            ("space", "model.encoder"),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies a list shows: each word of `search` somewhere in them, a state, an owner."""

    search: str = ""
    state: StudyState | None = None
    owner: str | None = None

    def without_state(self) -> "StudyFilter":
        """The same in every state."""
        return StudyFilter(self.search, owner=self.owner)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What the rows must fulfil."""
        found: list[ColumnElement[bool]] = [Study.deleted_at.is_(None)]
        if self.state is not None:
            found.append(Study.state == self.state)
        if self.owner is not None:
            found.append(Study.owner == self.owner)
        plain = "".join(sign if sign.isprintable() else " " for sign in self.search)
        return found + [_holds(word) for word in plain.lower().split()[:_WORDS]]


def _holds(word: str) -> ColumnElement[bool]:
    return or_(*(func.lower(text).contains(word, autoescape=True) for text in _TEXTS))


class Brief(NamedTuple):
    """As much of a study as it takes to sort it among others."""

    id: int
    name: str
    state: str
    priority: int
    seconds: float
    event_seq: int
    confirmations: int
    copies: int
    data_versions: Mapping[str, Any] | None
    spec: Mapping[str, Any]


class EndedRow(NamedTuple):
    """What a trial ended with, of which study, at which event."""

    study_id: int
    number: int
    state: str
    source: str
    value: float | None
    feasible: bool | None
    data_version: str | None
    step: int
    epochs: int
    seconds: float
    revision: int
    finished_at: datetime | None


def newest(
    session: Session,
    wanted: StudyFilter,
    *,
    descending: bool = True,
    beyond: int | None = None,
    limit: int,
) -> Sequence[Study]:
    """Studies by id, which is by age, beyond the one of that id."""
    query = select(Study).where(*wanted.conditions()).limit(limit)
    if beyond is not None:
        query = query.where(Study.id < beyond if descending else Study.id > beyond)
    return session.scalars(query.order_by(Study.id.desc() if descending else Study.id)).all()


def briefs(session: Session, wanted: StudyFilter) -> list[Brief]:
    """Every study that is wanted, in no order."""
    columns = [getattr(Study, name) for name in Brief._fields]
    return [Brief(*row) for row in session.execute(select(*columns).where(*wanted.conditions()))]


def by_id(session: Session, ids: Sequence[int]) -> list[Study]:
    """The studies of these ids, in their order, as far as there are any."""
    found = {row.id: row for row in session.scalars(select(Study).where(Study.id.in_(ids)))}
    return [found[study_id] for study_id in ids if study_id in found]


def count(session: Session, wanted: StudyFilter) -> dict[str, int]:
    """Number of studies by state."""
    query = select(Study.state, func.count()).where(*wanted.conditions()).group_by(Study.state)
    return dict(session.execute(query).all())


def ended(session: Session, study_ids: Sequence[int]) -> Iterator[EndedRow]:
    """Ended trials of these studies in the order of their ending."""
    for start in range(0, len(study_ids), _TOGETHER):
        part = study_ids[start : start + _TOGETHER]
        yield from _read(session, _query(and_(Trial.study_id.in_(part), Trial.state.in_(_ENDED))))


def changed(session: Session, study_id: int, *, since: int) -> list[EndedRow]:
    """Trials of a study that changed after an event; those that have ended in order."""
    query = _query(and_(Trial.study_id == study_id, Trial.revision > since))
    return list(_read(session, query))


def _query(condition: ColumnElement[bool]) -> Select[Any]:
    columns = [getattr(Trial, name) for name in EndedRow._fields]
    return select(*columns).where(condition).order_by(Trial.finished_at, Trial.number)


def _read(session: Session, query: Select[Any]) -> Iterator[EndedRow]:
    return (EndedRow(*row) for row in session.execute(query))
