"""Which files of ended trials a study keeps: what it says in `keep`, and what is needed anyway."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.errors import SegtuneError
from tuner.search.judge import may_copy
from tuner.service import confirmations, documents, files, pareto
from tuner.spec.kinds import ArtifactKind
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import Retention
from tuner.store import artifacts, studies, trials
from tuner.store.artifacts import ArtifactStore, EndedHolding
from tuner.store.engine import Database
from tuner.store.tables import Study

logger = logging.getLogger(__name__)
Collected = dict[int, int]  # studies by id, with the last event up to which they were looked at
_KINDS = (ArtifactKind.MODEL, ArtifactKind.CHECKPOINT)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a study may still do with the files of its ended trials."""

    best: frozenset[int]  # numbers of the trials that count as the best
    may_retry: bool  # a failed trial may be tried again
    may_copy: bool  # a trial may go on from another one's checkpoint


def superfluous(
    held: Sequence[EndedHolding], keep: Retention, needs: Needs
) -> tuple[EndedHolding, ...]:
    """Those of the models and checkpoints of ended trials that nobody needs any more."""
    return tuple(one for one in held if not _stays(one, keep, needs))


def _stays(one: EndedHolding, keep: Retention, needs: Needs) -> bool:
    if one.kind not in _KINDS or (needs.may_copy and one.kind == ArtifactKind.CHECKPOINT):
        return True
    match one.state:
        case TrialState.COMPLETED:
            is_confirming = one.source == TrialSource.CONFIRM
            number = one.parent if is_confirming else one.trial
            return keep.best is None or number in needs.best
        case TrialState.FAILED:
            return needs.may_retry or keep.last
        case TrialState.PRUNED | TrialState.CANCELLED:
            return keep.last
        case _:  # it has not ended, or only a later release knows what it is
            return True


def collect(db: Database, store: ArtifactStore, collected: Collected) -> int:
    """Delete what studies do not keep of their ended trials; the number of files that are gone.

    Only studies in which something happened since they were `collected` are looked at.
    """
    with db.reading() as session:
        found = studies.last_events(session)
    gone = 0
    for study_id, event in found.items():
        if collected.get(study_id) == event:
            continue
        try:
            orphans = _drop(db, study_id)
        except (SegtuneError, *documents.DAMAGED) as error:
            logger.warning("files of study %s are all kept: %s", study_id, error)
            orphans = ()
        collected[study_id] = event
        before = db.now() - files.GRACE
        gone += sum(files.discard(db, store, sha256, before=before) for sha256 in orphans)
    return gone


def _drop(db: Database, study_id: int) -> tuple[str, ...]:
    """Delete the rows of what a study does not keep; files that no row names any more."""
    with db.reading() as session:
        if not _found(session, studies.find(session, study_id)):
            return ()
    with db.transaction() as session:
        study = studies.lock(session, study_id)
        found = _found(session, study)  # again: a trial may have been tried again meanwhile
        rows = artifacts.by_id(session, [one.artifact for one in found])
        logger.info("study %s keeps %s files of ended trials fewer", study.name, len(rows))
        return artifacts.drop(session, rows)


def _found(session: Session, study: Study) -> tuple[EndedHolding, ...]:
    keep = documents.spec_of(study).keep
    if keep == Retention():
        return ()
    held = artifacts.of_ended(session, study.id, _KINDS)
    return superfluous(held, keep, _needs(session, study, keep)) if held else ()


def _needs(session: Session, study: Study, keep: Retention) -> Needs:
    rules = documents.rules_of(study)
    state = StudyState(study.state)
    return Needs(
        best=frozenset(_best(session, study, keep)),
        may_retry=state not in {StudyState.CANCELLED, StudyState.FAILED},
        may_copy=may_copy(rules) and not state.has_ended,
    )


def _best(session: Session, study: Study, keep: Retention) -> Collection[int]:
    """Numbers of the best trials, of those to confirm, and of those on the front."""
    spec = documents.spec_of(study)
    top = spec.search.confirm.top if spec.search.confirm else 0
    maximize = spec.objective.direction == "maximize"
    limit = max(keep.best or 0, top, 1)
    best = {one.number for one in trials.leaders(session, study, maximize=maximize, limit=limit)}
    if len(spec.objectives) > 1:
        best |= {one.number for one in pareto.front_trials(session, study, spec)}
    leader = confirmations.leader(session, study, spec)
    return best if leader is None else best | {leader.number}
