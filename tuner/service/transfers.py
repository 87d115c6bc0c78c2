"""What earlier studies know, for a study that is warm-started from them."""

from collections.abc import Iterator
from math import inf, isfinite

from sqlalchemy.orm import Session

from tuner.errors import InvalidSpec, NotFound, Problem
from tuner.recipes import point_of
from tuner.search.transfer import Earlier
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.versions import DataVersions, is_comparable
from tuner.store import studies, trials

_READ = 1000  # trials of one study


def require_finished(session: Session, spec: StudySpec) -> None:
    """Raise InvalidSpec for each study of `warm_start` that is unknown or has not ended."""
    if found := list(_problems(session, spec)):
        raise InvalidSpec(found)


def _problems(session: Session, spec: StudySpec) -> Iterator[Problem]:
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


def earlier(session: Session, spec: StudySpec) -> list[tuple[Earlier, ...]]:
    """Trials of each study of `warm_start` that still exists, as points of this study's space."""
    found = []
    for name in spec.search.warm_start:
        try:
            study = studies.find(session, name)
        except NotFound:
            continue  # deleted since: the search goes on without it
        rows = trials.list_in(session, study, [TrialState.COMPLETED, TrialState.PRUNED])
        ranked = DataVersions.of(study.data_versions).ranked
        known = []
        for row in rows[:_READ]:
            value = row.metrics.get(spec.objective.metric)
            if value is None or not isfinite(value) or row.feasible is False:
                continue
            if not is_comparable(row.data_version, ranked):
                continue
            step = inf if row.state == TrialState.COMPLETED else float(row.step)
            known.append(Earlier(point_of(spec.space, row.config), value, step))
        found.append(tuple(known))
    return found
