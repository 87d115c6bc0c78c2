"""The caller for whom this thread or task works: what they own, and what they did.

The server sets it for each request, so that no use case can forget to ask. Nobody in particular
(a command on the database, upkeep) may do everything.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from tuner.errors import Forbidden
from tuner.spec.access import EVERYTHING, Caller, DeedKind, TokenScope
from tuner.store import deeds, studies
from tuner.store.tables import Study

LOCAL = Caller("local", None, EVERYTHING)
_CALLER = ContextVar("segtune_caller", default=LOCAL)


@contextmanager
def acting_as(caller: Caller) -> Iterator[None]:
    """Let everything in the block be done by a caller."""
    before = _CALLER.set(caller)
    try:
        yield
    finally:
        _CALLER.reset(before)


def owner() -> str | None:
    """Whose a study is that is submitted now; None: nobody's in particular."""
    return _CALLER.get().owner


def lock(session: Session, study: int | str) -> Study:
    """The study, locked, which the caller may change. Raises NotFound, Forbidden."""
    row = studies.lock(session, study)
    require_owner(row)
    return row


def require_owner(study: Study) -> None:
    """Raise Forbidden unless the study is the caller's, or nobody's, or the caller is an admin."""
    caller = _CALLER.get()
    if study.owner in {None, caller.owner} or TokenScope.ADMIN in caller.scopes:
        return
    name = study.deleted_name or study.name
    raise Forbidden(
        f"study '{name}' is of {study.owner}, and '{caller.name}' is a token of {caller.owner}; "
        "its owner or an admin may change it, and you may clone it"
    )


def note(
    session: Session,
    action: DeedKind,
    target: str,
    *,
    now: datetime,
    study_id: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep what the caller does, in the same transaction."""
    caller = _CALLER.get()
    row = deeds.DeedRow(caller.name, caller.owner, action, target[:200], study_id, details or {})
    deeds.add(session, row, now=now)


def note_study(
    session: Session,
    action: DeedKind,
    study: Study,
    *,
    now: datetime,
    trial: int | None = None,
    **details: Any,
) -> None:
    """The same of a study, or of one of its trials."""
    name = study.deleted_name or study.name
    target = name if trial is None else f"{name} {trial}"
    note(session, action, target, now=now, study_id=study.id, details=details)
