"""Trials by the version of the data that they were trained on."""

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, true
from sqlalchemy.orm import Session

from tuner.spec.metrics import MEASURED
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.versions import DataVersions
from tuner.store import hot
from tuner.store.held import HeldTrial
from tuner.store.tables import Report, Study, Trial


def begin_anew(session: Session, trial: HeldTrial) -> None:
    """Take back what a trial has reported, as if it had never been trained."""
    hot.write(session)
    session.execute(delete(Report).where(Report.trial_id == trial.id))
    trial.step, trial.seconds = 0, 0.0
    trial.value = trial.best_value = trial.value_step = None
    trial.data_version = trial.threads = None
    # What its network costs does not depend on the data.
    trial.metrics = {name: value for name, value in trial.metrics.items() if name in MEASURED}
    trial.verdict, trial.provenance = {}, {}


def comparable(study: Study) -> ColumnElement[bool]:
    """Trials on the version of the data that the study ranks; unknown versions count with any."""
    ranked = DataVersions.of(study.data_versions).ranked
    if ranked is None:
        return true()
    return or_(Trial.data_version.is_(None), Trial.data_version == ranked)


def list_all(session: Session, study_id: int) -> list[tuple[str, bool]]:
    """Versions of the data, by their first trial, and whether one of the search has completed."""
    completed = and_(Trial.state == TrialState.COMPLETED, Trial.source != TrialSource.CONFIRM)
    query = (
        select(Trial.data_version, func.max(case((completed, 1), else_=0)))
        .where(Trial.study_id == study_id, Trial.data_version.is_not(None))
        .group_by(Trial.data_version)
        .order_by(func.min(Trial.number))
    )
    return [(version or "", bool(found)) for version, found in session.execute(query)]


def count(session: Session, study_id: int) -> dict[str, int]:
    """Number of trials on each version of the data."""
    query = (
        select(Trial.data_version, func.count())
        .where(Trial.study_id == study_id, Trial.data_version.is_not(None))
        .group_by(Trial.data_version)
    )
    return {version or "": number for version, number in session.execute(query)}


def set_version(trial: HeldTrial, version: str) -> None:
    """Write down which data a trial is trained on."""
    trial.data_version = version


def set_known(study: Study, known: DataVersions) -> None:
    """Write down which data a locked study's trials are trained on."""
    study.data_versions = known.model_dump(mode="json")
