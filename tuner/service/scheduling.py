"""Which study a worker is asked to work for."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tuner.errors import NewerDocument
from tuner.search.rules import Rules
from tuner.service import budget, demands, documents, faults
from tuner.spec.messages import Capabilities, LeaseRequest
from tuner.spec.states import StudyState
from tuner.spec.study import StudySpec
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.tables import Study

logger = logging.getLogger(__name__)


class Turn(NamedTuple):
    """Studies to ask for a trial, in this order; and damaged ones by id, with what is wrong."""

    ready: Sequence[tuple[int, Rules]]
    damaged: Mapping[int, Exception]


def in_turn(db: Database, request: LeaseRequest) -> Turn:
    """Studies to ask for a trial: priority, then fair share by weight, then age.

    What a later release has written is left to its own servers.
    """
    damaged, now = dict[int, Exception](), db.now()
    with db.reading() as session:
        asked = studies.asked(session, request.worker)
    known = faults.read(asked.unfit)
    placed = list[tuple[_Place, Rules]]()
    for study, load in asked.studies:
        if request.study not in {None, study.name}:
            continue
        try:
            rules = documents.rules_of(study)
            if (
                not faults.bars(known, study.id, now=now)
                and _has_work_for(rules.spec, request.capabilities)
                and may_hand_out(study, load, now=now)
            ):
                placed.append((_place(study, load), rules))
        except NewerDocument as error:
            logger.debug("study %s (id %s) is passed over: %s", study.name, study.id, error)
        except documents.DAMAGED as error:
            damaged[study.id] = error
    placed.sort(key=lambda pair: pair[0])
    return Turn([(place.id, rules) for place, rules in placed], damaged)


def _has_work_for(spec: StudySpec, capabilities: Capabilities) -> bool:
    """Whether a worker could train a trial of the study, or measure what its network costs."""
    if demands.fits(spec.resources, capabilities):
        return True
    return spec.deployment is not None and demands.measures(spec.deployment, capabilities)


class _Place(NamedTuple):
    """Where a study stands among those that are asked: the lowest comes first."""

    priority: float
    share: float
    id: int


def _place(study: Study, load: studies.Load) -> _Place:
    return _Place(-study.priority, load.running / study.weight, study.id)


def is_at_work(study: Study, *, now: datetime) -> bool:
    """Whether a study is open, and has hours left."""
    spec = documents.spec_of(study)
    return StudyState(study.state) in studies.OPEN and not budget.is_spent(study, spec, now=now)


def may_hand_out(study: Study, load: studies.Load, *, now: datetime) -> bool:
    """Whether an open study may have a trial to give: one that waits or is at a rung, or one
    still to be drawn.
    """
    rules = documents.rules_of(study)
    return (
        is_at_work(study, now=now)
        and load.running < rules.spec.search.parallel
        and (load.waiting > 0 or load.paused > 0 or budget.may_draw(study, rules))
    )
