"""The audit trail: what callers did, the last first."""

from tuner.service import cursors
from tuner.spec.access import DeedView
from tuner.spec.views import Page
from tuner.store import deeds
from tuner.store.engine import Database


def page(
    db: Database, *, study: int | None = None, cursor: str | None = None, limit: int = 50
) -> Page[DeedView]:
    """What was done to the study of an id, there or not, or to all.

    Raises:
        InvalidInput: the cursor is not one of this list.
    """
    before = None if cursor is None else cursors.read(cursor, [cursors.is_whole])[0]
    with db.snapshot() as session:
        found = deeds.newest(session, before=before, study_id=study, limit=limit + 1)
        items = tuple(
            DeedView(
                id=row.id,
                caller=row.caller,
                owner=row.owner,
                action=row.action,
                target=row.target,
                study_id=row.study_id,
                details=row.details,
                at=row.created_at,
            )
            for row in found[:limit]
        )
    following = cursors.write(items[-1].id) if len(found) > limit else None
    return Page(items=items, next=following)
