"""Sums over everything that is kept, for whoever watches the server."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuner.store.tables import Attempt, Study


class Spent(NamedTuple):
    """What all studies together have trained."""

    epochs: int
    seconds: float


def spent(session: Session) -> Spent:
    """Epochs, and seconds of devices, over all studies."""
    epochs, seconds = session.execute(
        select(func.sum(Study.epochs), func.sum(Study.seconds)).where(Study.deleted_at.is_(None))
    ).one()
    return Spent(int(epochs or 0), float(seconds or 0.0))


def attempts(session: Session) -> dict[str, int]:
    """Attempts by how they ended; "held" for those that have not."""
    rows = session.execute(select(Attempt.outcome, func.count()).group_by(Attempt.outcome))
    return {outcome or "held": int(count) for outcome, count in rows}
