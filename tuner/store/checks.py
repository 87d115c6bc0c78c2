"""What in a database contradicts itself: asked by `segtune db check`, while servers run.

Each finding is a sentence. What a study's removal has begun to take away is not looked at.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text
from sqlalchemy.orm import Session

from tuner.errors import NotFound, StorageError
from tuner.spec.states import TrialSource, TrialState
from tuner.store import artifacts
from tuner.store.artifacts import ArtifactStore
from tuner.store.engine import Database
from tuner.store.tables import Artifact, Attempt, Event, Report, Study, Trial
from tuner.wording import quantity

_CHUNK = 1 << 20
_INVALID = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE NOT convalidated"


def contradictions(db: Database) -> Iterator[str]:
    """What rows say against each other, at one moment. Raises StorageError."""
    with db.snapshot() as session:
        yield from _integrity(session)
        yield from _counts(session)
        yield from _series(session)
        yield from _leases(session)


def files(db: Database, store: ArtifactStore, *, whole: bool = True) -> Iterator[str]:
    """Artifacts whose file is missing or is not what its row says.

    With `whole` each file is read and its SHA-256 compared; without, only its size.
    """
    with db.reading() as session:
        rows = session.execute(
            select(Artifact.sha256, func.min(Artifact.size), func.min(Artifact.id))
            .group_by(Artifact.sha256)
            .order_by(func.min(Artifact.id))
        ).all()
    for digest, size, number in rows:
        problem = _problem(store, digest, size, whole=whole)
        if problem is not None and _is_named(db, digest):  # it may have been replaced meanwhile
            yield f"artifact {number} ({digest[:12]}…): {problem}"


def _problem(store: ArtifactStore, digest: str, size: int, *, whole: bool) -> str | None:
    try:
        with store.open(digest) as file:
            found = file.seek(0, 2)
            if found != size:
                return f"its file has {quantity(found, 'byte')}, and its row says {size}"
            file.seek(0)
            seen = hashlib.sha256()
            while whole and (chunk := file.read(_CHUNK)):
                seen.update(chunk)
    except NotFound:
        return "its file is missing"
    except (OSError, StorageError) as error:
        return f"its file cannot be read: {error}"
    return "its file is damaged" if whole and seen.hexdigest() != digest else None


def _is_named(db: Database, digest: str) -> bool:
    with db.reading() as session:
        return bool(artifacts.named(session, [digest]))


def _integrity(session: Session) -> Iterator[str]:
    """What the database itself finds wrong."""
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        for table, name in connection.execute(text(_INVALID)):
            yield f"table {table}: the constraint {name} has not been validated"
        return
    for (said,) in connection.execute(text("PRAGMA integrity_check")):
        if said != "ok":
            yield f"the file is damaged: {' '.join(str(said).split())}"
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"table {table}: row {row} names a row of {parent} that is not there"


_NAME = func.coalesce(Study.deleted_name, Study.name)
_WHOLE = or_(Study.deleted_at.is_(None), Study.deleted_name.is_not(None))


def _counts(session: Session) -> Iterator[str]:
    """Trials and events are numbered without gaps, as many as their study says."""
    for what, said, number, first in (
        ("trial", Study.trial_count, Trial.number, 0),
        ("event", Study.event_seq, Event.seq, 1),
    ):
        table: Any = number.class_
        counted: Any = (
            select(Study.id, _NAME, said, func.count(number), func.max(number))
            .outerjoin(table, table.study_id == Study.id)
            .where(_WHOLE)
            .group_by(Study.id)
            .order_by(Study.id)
        )
        for study, name, known, count, last in session.execute(counted):
            end = -1 + first if last is None else last
            if not known == count == end + 1 - first:
                yield (
                    f"study {name} (id {study}) counts {quantity(known, what)}; there "
                    f"{'is' if count == 1 else 'are'} {count}, the last with the number {last}"
                )


def _series(session: Session) -> Iterator[str]:
    """A trial has one report for each step up to its own; an imported one may lack some."""
    counted = (
        select(Report.trial_id, func.count().label("count"), func.max(Report.step).label("last"))
        .group_by(Report.trial_id)
        .subquery()
    )
    count, last = func.coalesce(counted.c.count, 0), func.coalesce(counted.c.last, 0)
    has_gaps = and_(count != Trial.step, Trial.source != TrialSource.IMPORT)
    columns = (Trial.step, count, last)
    query = _trials(columns, or_(has_gaps, last != Trial.step), joined=counted)
    for study, number, step, reports, latest in session.execute(query):
        yield (
            f"trial {number} of {study} is at step {step}, and has {quantity(reports, 'report')}, "
            f"the last of step {latest}"
        )


def _leases(session: Session) -> Iterator[str]:
    """A running trial has a lease, no other has one, and attempts are numbered without gaps."""
    counted = (
        select(
            Attempt.trial_id,
            func.count().label("count"),
            func.max(Attempt.number).label("last"),
            func.sum(func.coalesce(Attempt.ended_at.is_(None).cast(Trial.number.type), 0)).label(
                "held"
            ),
        )
        .group_by(Attempt.trial_id)
        .subquery()
    )
    count, last = func.coalesce(counted.c.count, 0), func.coalesce(counted.c.last, 0)
    held = func.coalesce(counted.c.held, 0)
    runs = Trial.state == TrialState.RUNNING
    wrong = or_(and_(runs, held == 0), and_(~runs, held > 0))
    for study, number, state in session.execute(_trials((Trial.state,), wrong, joined=counted)):
        says = "and no attempt holds a lease of it" if state == TrialState.RUNNING else "but leased"
        yield f"trial {number} of {study} is {state}, {says}"
    gaps = or_(count != Trial.attempts, last != Trial.attempts)
    for row in session.execute(_trials((Trial.attempts, count, last), gaps, joined=counted)):
        yield _attempts(row)


def _attempts(row: Any) -> str:
    study, number, known, count, last = row
    return (
        f"trial {number} of {study} counts {quantity(known, 'attempt')}; there "
        f"{'is' if count == 1 else 'are'} {count}, the last with the number {last}"
    )


def _trials(columns: Sequence[Any], wrong: ColumnElement[bool], *, joined: Any) -> Select[Any]:
    return (
        select(_NAME, Trial.number, *columns)
        .select_from(Trial)
        .join(Study, Study.id == Trial.study_id)
        .outerjoin(joined, joined.c.trial_id == Trial.id)
        .where(_WHOLE, wrong)
        .order_by(Study.id, Trial.number)
    )
