"""A study's rows as JSON objects, without ids of one database, and back as rows of another.

A row of a trial names it by its number, one of a worker by the worker's name. Tokens of leases are
not among them: nobody can hold on to a lease of another database.
"""

import base64
import binascii
import math
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Column, LargeBinary, Select, delete, insert, select
from sqlalchemy.orm import Session

from tuner.errors import Malformed
from tuner.store import webhooks
from tuner.store.tables import Base, Study, UtcDateTime

ArchiveRow = dict[str, Any]
# In the order in which they can be inserted.
PARTS = ("workers", "trials", "attempts", "attempt_logs", "reports", "artifacts", "events")
IMPORTING = timedelta(days=1)  # after which upkeep removes what is not whole yet
_TABLES = Base.metadata.tables
_STUDIES, _TRIALS, _ATTEMPTS, _WORKERS = (
    _TABLES[name] for name in ("studies", "trials", "attempts", "workers")
)
_IDS = frozenset({"id", "study_id", "trial_id", "attempt_id", "worker_id", "token_hash"})
# What is of one server alone.
_LEFT_OUT = {
    "studies": frozenset({"deleted_at", "deleted_name", "deleted_state"}),
    "workers": frozenset({"unfit", "drained_at"}),
    "attempts": frozenset({"yields_to"}),
}
# What else a row says: whose it is.
_OWNERS: dict[str, dict[str, type]] = {
    "attempts": {"trial": int, "worker": str},
    "attempt_logs": {"trial": int, "attempt": int},
    "reports": {"trial": int},
    "artifacts": {"trial": int},
}


# ── From rows ────────────────────────────────────────────────────────────────────────────────


def study_row(session: Session, study_id: int) -> ArchiveRow:
    """The row of a study itself."""
    found = session.execute(select(_STUDIES).where(_STUDIES.c.id == study_id)).mappings().one()
    return _encoded("studies", found)


def rows_of(session: Session, study_id: int, part: str) -> Iterator[ArchiveRow]:
    """The rows of one part of a study, in an order that is the same in every database."""
    found = session.execute(_query(part, study_id), execution_options={"yield_per": 500})
    rows = (_encoded(part, row) for row in found.mappings())
    # Databases sort texts by their own rules.
    yield from sorted(rows, key=lambda row: row["name"]) if part == "workers" else rows


def _query(part: str, study_id: int) -> Select[Any]:
    table, mine = _TABLES[part], _TRIALS.c.study_id == study_id
    number = _TRIALS.c.number.label("trial")
    of_trial = (number, *(each for each in table.c if each.name not in {"trial", "id"}))
    match part:
        case "workers":
            known = select(_ATTEMPTS.c.worker_id).join(_TRIALS).where(mine)
            return select(table).where(table.c.id.in_(known))
        case "trials":
            return select(table).where(mine).order_by(table.c.number)
        case "events":
            return select(table).where(table.c.study_id == study_id).order_by(table.c.seq)
        case "attempts":
            joined = select(*of_trial, _WORKERS.c.name.label("worker")).join_from(table, _TRIALS)
            return joined.join(_WORKERS).where(mine).order_by(number, table.c.number)
        case "attempt_logs":
            ours = (number, _ATTEMPTS.c.number.label("attempt"), *table.c)
            joined = select(*ours).join_from(table, _ATTEMPTS).join(_TRIALS)
            return joined.where(mine).order_by(number, _ATTEMPTS.c.number)
        case _:
            order = table.c.step if part == "reports" else table.c.id
            return select(*of_trial).join_from(table, _TRIALS).where(mine).order_by(number, order)


def _encoded(part: str, row: Mapping[Any, Any]) -> ArchiveRow:
    columns = _columns(part)
    given = {name: _to_json(row[column]) for name, column in columns.items()}
    return given | {name: row[name] for name in _OWNERS.get(part, ())}


def _columns(part: str) -> dict[str, "Column[Any]"]:
    left_out = _IDS | _LEFT_OUT.get(part, frozenset())
    return {each.key: each for each in _TABLES[part].columns if each.key not in left_out}


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


# ── To rows ──────────────────────────────────────────────────────────────────────────────────


@dataclass
class Arrival:
    """A study that comes in, and the ids that its rows have here."""

    study: int
    trials: dict[int, int] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)
    attempts: dict[tuple[int, int], str] = field(default_factory=dict)


def add_hidden(session: Session, row: Mapping[str, Any], *, now: datetime) -> Arrival:
    """Insert a study that nobody sees until it is whole; what never becomes so upkeep removes.

    Raises:
        Malformed: the row is not one of a study.
    """
    decoded = _decoded("studies", row)
    hidden = {
        "name": f"~{secrets.token_hex(8)}",  # no study is called so
        "state": "cancelled",
        "deleted_at": now + IMPORTING,
    }
    study = Study(**(decoded | hidden))
    session.add(study)
    session.flush()
    return Arrival(study.id)


def show(session: Session, arrival: Arrival, row: Mapping[str, Any], name: str) -> None:
    """Let a study that is whole be seen, under this name."""
    study = session.get_one(Study, arrival.study)
    decoded = _decoded("studies", row)
    study.name, study.state, study.deleted_at = name, decoded["state"], None
    if isinstance(decoded["spec"], dict):
        study.spec = {**decoded["spec"], "name": name}
    session.flush()
    webhooks.skip(session, study)


def discard(session: Session, arrival: Arrival) -> None:
    """Remove a study that did not become whole."""
    session.execute(delete(_TABLES["events"]).where(_TABLES["events"].c.study_id == arrival.study))
    session.execute(delete(_TRIALS).where(_TRIALS.c.study_id == arrival.study))
    session.execute(delete(_STUDIES).where(_STUDIES.c.id == arrival.study))


def add_rows(
    session: Session, arrival: Arrival, part: str, rows: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Insert rows of one part. Raises Malformed for rows that are not of it."""
    owners = _OWNERS.get(part, {})
    decoded = []
    for row in rows:
        values = _decoded(part, row)
        _require(part, {name: row.get(name) for name in owners}, owners)
        decoded.append(values | _own(arrival, part, row, now))
    if part == "workers":
        _add_workers(session, arrival, decoded)
        return
    session.execute(insert(_TABLES[part]), decoded)
    if part == "trials":
        numbers = [row["number"] for row in decoded]
        query = select(_TRIALS.c.number, _TRIALS.c.id).where(
            _TRIALS.c.study_id == arrival.study, _TRIALS.c.number.in_(numbers)
        )
        arrival.trials.update((number, known) for number, known in session.execute(query))


def _own(arrival: Arrival, part: str, row: Mapping[str, Any], now: datetime) -> ArchiveRow:
    """What makes a row one of this database."""
    try:
        match part:
            case "trials" | "events":
                return {"study_id": arrival.study}
            case "reports":
                return {"study_id": arrival.study, "trial_id": arrival.trials[row["trial"]]}
            case "artifacts":
                return {"trial_id": arrival.trials[row["trial"]]}
            case "attempt_logs":
                return {"attempt_id": arrival.attempts[row["trial"], row["attempt"]]}
            case "attempts":
                lease = f"{arrival.study}-{uuid.uuid4().hex}"
                arrival.attempts[row["trial"], row["number"]] = lease
                own = {
                    "id": lease,
                    "trial_id": arrival.trials[row["trial"]],
                    "worker_id": arrival.workers[row["worker"]],
                    "token_hash": secrets.token_hex(32),  # of no token
                }
                # Nobody may end it before the study is whole.
                return own if row.get("ended_at") else own | {"expires_at": now + IMPORTING}
            case _:
                return {}
    except KeyError as error:
        raise Malformed(f"a row of {part} belongs to {error}, which is not in it") from None


def _add_workers(session: Session, arrival: Arrival, rows: Sequence[ArchiveRow]) -> None:
    """Insert those that are not known here by their name."""
    for row in rows:
        known = select(_WORKERS.c.id).where(_WORKERS.c.name == row["name"])
        if (found := session.scalar(known)) is None:
            session.execute(insert(_WORKERS), [row])
            found = session.scalar(known)
        assert found is not None
        arrival.workers[row["name"]] = found


def _decoded(part: str, row: Mapping[str, Any]) -> ArchiveRow:
    columns = _columns(part)
    if unknown := sorted(row.keys() - columns.keys() - _OWNERS.get(part, {}).keys()):
        raise Malformed(f"a row of {part} has the unknown key '{unknown[0]}'")
    return {
        name: _from_json(part, column, row[name]) for name, column in columns.items() if name in row
    }


def _from_json(part: str, column: "Column[Any]", value: Any) -> Any:
    if value is None or isinstance(column.type, JSON):
        return value
    try:
        if isinstance(column.type, LargeBinary):
            return base64.b64decode(value, validate=True)
        if isinstance(column.type, UtcDateTime):
            return _time(value)
        kind = column.type.python_type
        if kind is float and not isinstance(value, bool):
            return float(value)
        _require(part, {column.name: value}, {column.name: kind})
    except (TypeError, ValueError, binascii.Error) as error:
        raise Malformed(f"a row of {part} has a wrong {column.name}: {error}") from None
    return value


def _time(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError(f"'{value}' has no zone")
    return found


def _require(part: str, values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    for name, kind in kinds.items():
        value = values[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Malformed(
                f"a row of {part} must have a {kind.__name__} as {name}, and has {value!r}"[:300]
            )
