"""Which study a worker is asked to work for; `queue` shows the same decisions."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tuner.errors import NewerDocument
from tuner.search.rules import Rules
from tuner.service import budget, demands, documents, faults
from tuner.spec.fleet import Why
from tuner.spec.messages import Capabilities, LeaseRequest
from tuner.spec.states import StudyState
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.limits import HeldBack
from tuner.store.tables import Study

logger = logging.getLogger(__name__)


class Turn(NamedTuple):
    """Studies to ask for a trial, in this order; and damaged ones by id, with what is wrong."""

    ready: Sequence[tuple[int, Rules]]
    damaged: Mapping[int, Exception]
    is_drained: bool = False  # a user lets the worker have no further trial


def in_turn(db: Database, request: LeaseRequest) -> Turn:
    """Studies to ask for a trial: priority, then a fair share of owners and studies, then age.

    What a later release has written is left to its own servers.
    """
    damaged, now = dict[int, Exception](), db.now()
    with db.reading() as session:
        asked = studies.asked(session, request.worker)
    if asked.is_drained:
        return Turn((), {}, is_drained=True)
    known = faults.read(asked.unfit)
    owners = running_of(asked.studies)
    placed = list[tuple[StudyPlace, Rules]]()
    for study, load in asked.studies:
        if request.study not in {None, study.name}:
            continue
        try:
            rules = documents.rules_of(study)
            if (
                barred(study, asked.limits) is None
                and not faults.bars(known, study.id, now=now)
                and has_work_for(rules, request.capabilities)
                and may_hand_out(study, load, now=now)
            ):
                placed.append((place_of(study, load, owners), rules))
        except NewerDocument as error:
            logger.debug("study %s (id %s) is passed over: %s", study.name, study.id, error)
        except documents.DAMAGED as error:
            damaged[study.id] = error
    placed.sort(key=lambda pair: pair[0])
    return Turn([(place.id, rules) for place, rules in placed], damaged)


def has_work_for(rules: Rules, capabilities: Capabilities) -> bool:
    """Whether a worker could train a trial of the study, or measure what its network costs."""
    spec = rules.spec
    if rules.withheld is not None or not demands.has_packages(rules.packages, capabilities):
        return False
    if demands.fits(spec.resources, capabilities):
        return True
    return spec.deployment is not None and demands.measures(spec.deployment, capabilities)


class StudyPlace(NamedTuple):
    """Where a study stands among those that are asked: the lowest comes first."""

    priority: float
    owner_share: int
    share: float
    id: int


def running_of(loads: Iterable[tuple[Study, studies.Load]]) -> Counter[str | None]:
    """Running trials of each owner's open studies; studies of nobody are one owner's."""
    owners = Counter[str | None]()
    for study, load in loads:
        owners[study.owner] += load.running
    return owners


def place_of(study: Study, load: studies.Load, owners: Mapping[str | None, int]) -> StudyPlace:
    """Where a study stands: priority, running trials of its owner, its own by weight, then age."""
    share = load.running / study.weight
    return StudyPlace(-study.priority, owners[study.owner], share, study.id)


def is_at_work(study: Study, *, now: datetime) -> bool:
    """Whether a study is open, and has hours left."""
    spec = documents.spec_of(study)
    return StudyState(study.state) in studies.OPEN and not budget.is_spent(study, spec, now=now)


def may_hand_out(study: Study, load: studies.Load, *, now: datetime) -> bool:
    """Whether an open study may have a trial to give: one that waits or is at a rung, or one
    still to be drawn.
    """
    return held_back(study, load, now=now) is None


def barred(study: Study, limits: HeldBack) -> Why | None:
    """Why an admin lets the study give no trial to anybody; None where none does."""
    if limits.maintenance is not None:
        return Why.MAINTENANCE
    return Why.OWNER_SPENT if study.owner in limits.spent else None


def held_back(study: Study, load: studies.Load, *, now: datetime) -> Why | None:
    """Why a study gives no trial to anybody now; None where it may have one to give."""
    rules = documents.rules_of(study)
    if not is_at_work(study, now=now):
        return Why.PAUSED if study.state == StudyState.PAUSED else Why.SPENT
    if load.running >= rules.spec.search.parallel:
        return Why.PARALLEL
    if load.waiting or load.paused or budget.may_draw(study, rules):
        return None
    return Why.DRAWN
