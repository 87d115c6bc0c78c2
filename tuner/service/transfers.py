"""What earlier studies know, for a study that is warm-started from them."""

import logging
from collections.abc import Iterator
from math import inf, isfinite

from sqlalchemy.orm import Session

from tuner.configs.recipes import point_of
from tuner.errors import InvalidSpec, NotFound, Problem
from tuner.search.transfer import SourceTrial
from tuner.service import documents
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.versions import DataVersions, is_comparable
from tuner.store import studies, trials
from tuner.store.tables import Trial

logger = logging.getLogger(__name__)
_READ = 1000  # trials of one study


def require_finished(session: Session, spec: StudySpec) -> None:
    """Raise InvalidSpec for each study of `warm_start` that is unknown or has not ended."""
    if found := list(problems(session, spec)):
        raise InvalidSpec(found)


def problems(session: Session, spec: StudySpec) -> Iterator[Problem]:
    """Each study of `warm_start` that is unknown or has not ended."""
    for index, name in enumerate(spec.search.warm_start):
        place = ("search", "warm_start", index)
        try:
            study = studies.find(session, name)
        except NotFound as error:
            yield Problem(place, str(error))
            continue
        if not StudyState(study.state).has_ended:
            message = f"study '{name}' is {study.state}; wait until it has ended, or cancel it"
            yield Problem(place, message)


def earlier(session: Session, spec: StudySpec) -> list[tuple[SourceTrial, ...]]:
    """Trials of each study of `warm_start` that still exists, as points of this study's space."""
    found = []
    for name in spec.search.warm_start:
        try:
            study = studies.find(session, name)
        except NotFound:
            continue  # deleted since: the search goes on without it
        stored = trials.list_in(session, study, [TrialState.COMPLETED, TrialState.PRUNED])
        ranked = DataVersions.of(study.data_versions).ranked
        known = list[SourceTrial]()
        for row in stored[:_READ]:
            if not is_comparable(row.data_version, ranked):
                continue
            try:
                one = _known(row, spec)
            except documents.DAMAGED as error:
                logger.warning("trial %s of %s teaches nothing: %s", row.number, name, error)
                continue
            if one is not None:
                known.append(one)
        found.append(tuple(known))
    return found


def _known(row: Trial, spec: StudySpec) -> SourceTrial | None:
    """A trial as a point of this study's space; None if it has no value to learn from."""
    value = row.metrics.get(spec.objective.metric)
    if value is None or not isfinite(value) or row.feasible is False:
        return None
    step = inf if row.state == TrialState.COMPLETED else float(row.step)
    return SourceTrial(point_of(spec.space, row.config), value, step)
