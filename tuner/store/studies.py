"""Rows of studies: add, find, lock, move."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from tuner.errors import Conflict, IllegalMove, NotFound
from tuner.spec.events import EventKind
from tuner.spec.states import StudyState, TrialState
from tuner.store import deletion, events, hot, limits, pipeline, statements
from tuner.store.held import KnownWorker
from tuner.store.limits import HeldBack
from tuner.store.pipeline import Query
from tuner.store.references import is_id, key
from tuner.store.tables import IdempotencyKey, Study, Trial

OPEN = statements.OPEN


def add(
    session: Session, spec: Mapping[str, Any], *, now: datetime, owner: str | None = None
) -> Study:
    """Insert a study. Raises Conflict when the name is taken."""
    name = spec["name"]
    if session.scalar(select(Study.id).where(Study.name == name)) is not None:
        raise Conflict(f"a study named '{name}' exists; choose another name, or delete that one")
    study = Study(
        name=name,
        state=StudyState.QUEUED,
        reason="",
        spec=dict(spec),
        priority=spec["priority"],
        weight=spec["weight"],
        trial_count=0,
        warnings={},
        confirmations=0,
        copies=0,
        event_seq=0,
        epochs=0,
        seconds=0.0,
        created_at=now,
        owner=owner,
    )
    session.add(study)
    session.flush()
    events.append(session, study, EventKind.STUDY_CREATED, now=now, state=study.state)
    return study


def find(session: Session, study: int | str) -> Study:
    """The study of that id or name: a number is an id, and anything else a name.

    Raises:
        NotFound: there is none.
    """
    meant = key(study, Study.name.expression)
    row = session.scalar(select(Study).where(meant, Study.deleted_at.is_(None)))
    if row is not None:
        return row
    what = "id" if is_id(study) else "name"
    remedy = "`segtune studies` lists them"
    if deletion.find(session, study) is not None:
        remedy = f"it was deleted, and `segtune restore {study}` brings it back"
    raise NotFound(f"no study has the {what} '{study}'; {remedy}")


def exists(session: Session, study_id: int) -> bool:
    """Whether there is a study of that id."""
    query = select(Study.id).where(Study.id == study_id, Study.deleted_at.is_(None))
    return session.scalar(query) is not None


def lock(session: Session, study: int | str) -> Study:
    """The study, its row held to the end of the transaction. Raises NotFound.

    A transaction that writes anything of a study holds its row first: so nothing is written in two
    orders.
    """
    study_id = study if isinstance(study, int) else find(session, study).id
    batch = hot.batch_of(session)
    batch.lock(session, [study_id])
    if study_id not in batch.studies:
        raise NotFound(f"no study has the id {study}; `segtune studies` lists them")
    return batch.studies[study_id]


def list_in(session: Session, states: Sequence[StudyState]) -> Sequence[Study]:
    """Studies in any of these states, by id."""
    query = select(Study).where(Study.state.in_(states), Study.deleted_at.is_(None))
    return session.scalars(query.order_by(Study.id)).all()


def last_events(session: Session) -> dict[int, int]:
    """The number of the last event of each study, by id."""
    query = select(Study.id, Study.event_seq).where(Study.deleted_at.is_(None))
    return {row[0]: row[1] for row in session.execute(query)}


def count_trials(session: Session, study_ids: Sequence[int]) -> dict[int, dict[TrialState, int]]:
    """Number of trials in each state, by study."""
    counts: dict[int, dict[TrialState, int]] = {study_id: {} for study_id in study_ids}
    query = (
        select(Trial.study_id, Trial.state, func.count())
        .where(Trial.study_id.in_(study_ids))
        .group_by(Trial.study_id, Trial.state)
    )
    for study_id, state, number in session.execute(query):
        known = TrialState.known(state)
        counts[study_id][known] = counts[study_id].get(known, 0) + number
    return counts


class Load(NamedTuple):
    """How many trials of a study wait for a worker, have one, or are paused at a rung."""

    waiting: int = 0
    running: int = 0
    paused: int = 0


def load(session: Session, study_ids: Sequence[int]) -> dict[int, Load]:
    """The load of each study."""
    return _loads(study_ids, session.execute(statements.LOAD, {"ids": list(study_ids)}))


def _loads(study_ids: Sequence[int], rows: Iterable[Sequence[Any]]) -> dict[int, Load]:
    loads = dict.fromkeys(study_ids, Load())
    for study_id, state, number in rows:
        if study_id in loads:  # one that was opened between two reads is not asked for yet
            loads[study_id] = loads[study_id]._replace(**{state: number})
    return loads


class Asked(NamedTuple):
    """What decides which study a worker is given a trial of."""

    unfit: Mapping[str, Any] | None  # what keeps the worker from training, as its row has it
    is_drained: bool  # whether a user lets it have no further trial
    studies: Sequence[tuple[Study, Load]]  # open ones, highest priority and oldest first
    limits: HeldBack  # what holds all of them back, or those of an owner


def asked(session: Session, worker: str) -> Asked:
    """The studies that a worker may be given a trial of; the objects are for reading."""
    named, rows, counts, limits_ = pipeline.read(
        session,
        [
            Query(statements.NAMED, {"names": [worker]}),
            Query(statements.OPEN_STUDIES, {}),
            Query(statements.OPEN_LOADS, {}),
            Query(statements.LIMITS, {}),
        ],
    )
    found = [hot.study_from(row) for row in rows]
    loads = _loads([study.id for study in found], counts)
    known = KnownWorker(*named[0][1:]) if named else None
    is_drained = known is not None and known.drained_at is not None
    loaded = [(study, loads[study.id]) for study in found]
    return Asked(known and known.unfit, is_drained, loaded, limits.from_rows(limits_))


def load_of(session: Session, study: Study) -> Load:
    """The load of a locked study, with all that its transaction has moved."""
    counts = hot.batch_of(session).counts
    if study.id not in counts:
        hot.write(session)
        counts[study.id] = load(session, [study.id])[study.id]._asdict()
    return Load(**{name: counts[study.id].get(name, 0) for name in Load._fields})


def warnings_of(study: Study) -> dict[str, str]:
    """A study's warnings by what they are about, as far as what is stored is any."""
    stored: object = study.warnings
    if not isinstance(stored, dict):
        return {}
    return {key: text for key, text in stored.items() if key.strip() and isinstance(text, str)}


def warn(
    session: Session,
    study: Study,
    warnings: Mapping[str, str],
    *,
    now: datetime,
    group: str = "rung",
) -> None:
    """Let a locked study's warnings of one group be these; new ones are events.

    Their keys say what they are about; the first word of a key is the group.
    """
    known = warnings_of(study)
    for about in warnings.keys() - known.keys():
        events.append(session, study, EventKind.STUDY_WARNED, now=now, text=warnings[about])
    others = {about: text for about, text in known.items() if about.split()[0] != group}
    if {**others, **warnings} != study.warnings:
        study.warnings = {**others, **warnings}


def move(
    session: Session, study: Study, state: StudyState, *, now: datetime, reason: str = ""
) -> None:
    """Bring a locked study into another state, with its event. Raises IllegalMove."""
    if not StudyState(study.state).may_become(state):
        raise IllegalMove(f"study '{study.name}' is {study.state} and cannot become {state}")
    study.state = state
    study.reason = reason
    if state is StudyState.RUNNING:
        study.started_at = study.started_at or now
    study.finished_at = now if state.has_ended else None
    kind = EventKind.STUDY_FINISHED if state.has_ended else EventKind.STUDY_CHANGED
    events.append(session, study, kind, now=now, state=state, reason=reason)


def replace_spec(
    session: Session,
    study: Study,
    spec: Mapping[str, Any],
    changed: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    """Give a locked study another, checked document; its event names what changed."""
    study.spec = dict(spec)
    study.priority, study.weight = spec["priority"], spec["weight"]
    events.append(session, study, EventKind.STUDY_CHANGED, now=now, **changed)


def remember(session: Session, key: str, *, body_hash: str, study_id: int, now: datetime) -> None:
    """Keep which study a submission's key made."""
    session.add(IdempotencyKey(key=key, body_hash=body_hash, study_id=study_id, created_at=now))


def recall(session: Session, key: str, *, body_hash: str) -> Study | None:
    """The study made under this key. Raises Conflict when another body came under it."""
    row = session.get(IdempotencyKey, key)
    if row is None:
        return None
    if row.body_hash != body_hash:
        raise Conflict(
            f"Idempotency-Key '{key}' came with another study before; use a new key for a new study"
        )
    return session.get(Study, row.study_id)


def forget(session: Session, *, now: datetime, days: int = 7) -> int:
    """Drop keys that are too old to be retried; give their number."""
    cutoff = now - timedelta(days=days)
    result = session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < cutoff))
    return int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE gives a CursorResult


def names_like(session: Session, name: str) -> frozenset[str]:
    """Names of studies that begin with `name`."""
    return frozenset(
        session.scalars(select(Study.name).where(Study.name.startswith(name, autoescape=True)))
    )
