"""Sheets of validation images, one of a trial, as pages about a study show them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from tuner.spec.examples import SHEETS
from tuner.spec.kinds import ArtifactKind
from tuner.store.tables import Artifact, Trial

# A sheet of a later epoch than the best is not of the trial's model, where that is what counts.
_COUNTS = or_(
    Trial.value_step.is_(None), Artifact.step.is_(None), Artifact.step <= Trial.value_step
)


def last_sheets(session: Session, trial_ids: Sequence[int]) -> Sequence[Artifact]:
    """Of each of these trials the last sheet of each kind of them, up to the epoch that counts."""
    last = (
        select(Artifact.trial_id, Artifact.kind, func.max(Artifact.step).label("step"))
        .join(Trial, Trial.id == Artifact.trial_id)
        .where(Artifact.trial_id.in_(trial_ids), Artifact.kind.in_(SHEETS), _COUNTS)
        .group_by(Artifact.trial_id, Artifact.kind)
        .subquery()
    )
    is_last = or_(Artifact.step == last.c.step, last.c.step.is_(None))
    same = and_(Artifact.trial_id == last.c.trial_id, Artifact.kind == last.c.kind, is_last)
    return session.scalars(select(Artifact).join(last, same).order_by(Artifact.id)).all()


def details_of_last(session: Session, study_id: int) -> dict[int, Any]:
    """Details of each trial's last sheet of predictions up to the epoch that counts, by number."""
    last = (
        select(Artifact.trial_id, func.max(Artifact.step).label("step"))
        .join(Trial, Trial.id == Artifact.trial_id)
        .where(Trial.study_id == study_id, Artifact.kind == ArtifactKind.PREDICTIONS, _COUNTS)
        .group_by(Artifact.trial_id)
        .subquery()
    )
    query = (
        select(Trial.number, Artifact.details)
        .join(Artifact, Artifact.trial_id == Trial.id)
        .join(last, and_(Artifact.trial_id == last.c.trial_id, Artifact.step == last.c.step))
        .where(Artifact.kind == ArtifactKind.PREDICTIONS)
    )
    return {row[0]: row[1] for row in session.execute(query)}
