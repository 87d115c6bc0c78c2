"""Which study a worker is asked to work for, and which studies no worker can work for."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tuner.errors import NewerDocument
from tuner.search.rules import Rules
from tuner.service import endings, faults, views
from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Capabilities, LeaseRequest
from tuner.spec.states import StudyState
from tuner.spec.study import Resources
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.tables import Study

logger = logging.getLogger(__name__)
_NAMED = 3  # of the things that a sentence lists


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
            rules = views.rules_of(study)
            if (
                not faults.bars(known, study.id, now=now)
                and fits(rules.spec.resources, request.capabilities)
                and may_hand_out(study, load, now=now)
            ):
                placed.append((_place(study, load), rules))
        except NewerDocument as error:
            logger.debug("study %s (id %s) is passed over: %s", study.name, study.id, error)
        except views.DAMAGED as error:
            damaged[study.id] = error
    placed.sort(key=lambda pair: pair[0])
    return Turn([(place.id, rules) for place, rules in placed], damaged)


class _Place(NamedTuple):
    """Where a study stands among those that are asked: the lowest comes first."""

    priority: float
    share: float
    id: int


def _place(study: Study, load: studies.Load) -> _Place:
    return _Place(-study.priority, load.running / study.weight, study.id)


def may_hand_out(study: Study, load: studies.Load, *, now: datetime) -> bool:
    """Whether an open study may have a trial to give: one that waits or stands at a rung, or one
    still to be drawn.
    """
    rules = views.rules_of(study)
    return (
        StudyState(study.state) in studies.OPEN
        and load.running < rules.spec.search.parallel
        and not endings.is_spent(study, rules.spec, now=now)
        and (load.waiting > 0 or load.paused > 0 or endings.may_draw(study, rules))
    )


class Member(NamedTuple):
    """A worker of the fleet that is there."""

    name: str
    capabilities: Capabilities
    unfit: str | None = None  # why it cannot train anything now


class _Demand(NamedTuple):
    """One thing that a study asks of a worker, and what to say where nobody has it."""

    is_met: Callable[[Capabilities], bool]
    told: Callable[[Collection[Member], str], str]


def fits(resources: Resources, capabilities: Capabilities) -> bool:
    """Whether a worker has what a study asks for."""
    return all(demand.is_met(capabilities) for demand in _demands(resources))


def waiting_for(resources: Resources, fleet: Collection[Member]) -> str | None:
    """Why none of the workers that are there can train a study; None where one can."""
    if not fleet:
        return "no worker is there; start one with `segtune worker`"
    able = tuple(fleet)
    for demand in _demands(resources):
        rest = tuple(member for member in able if demand.is_met(member.capabilities))
        if not rest:
            others = " that meets its other demands" if len(able) < len(fleet) else ""
            return demand.told(able, f"no worker{others}")
        able = rest
    unfit = [f"{member.name}: {member.unfit}" for member in able if member.unfit is not None]
    if len(unfit) < len(able):
        return None
    if len(unfit) == 1:
        return f"the only worker that could train it is unfit: {unfit[0]}"
    more = f"; and {len(unfit) - _NAMED} more" if len(unfit) > _NAMED else ""
    return f"all workers that could train it are unfit: {'; '.join(unfit[:_NAMED])}{more}"


def _demands(resources: Resources) -> list[_Demand]:
    """All that a study asks for, each by itself."""
    demands = list[_Demand]()
    if resources.gpus > 0:
        demands.append(_Demand(lambda one: one.device.kind != DeviceKind.CPU, _no_gpu))
    if resources.memory_gb is not None:
        demands.append(_memory(resources.memory_gb))
    demands += [_label(name, value) for name, value in resources.labels.items()]
    return demands


def _no_gpu(able: Collection[Member], nobody: str) -> str:
    return f"it asks for a GPU, and {nobody} has one"


def _memory(asked: float) -> _Demand:
    def told(able: Collection[Member], nobody: str) -> str:
        best = max(able, key=lambda member: member.capabilities.device.memory_gb or 0)
        seen = best.capabilities.device.memory_gb
        most = f"more than {seen:g} GB ({best.name})" if seen else "a device that says its memory"
        return f"it asks for {asked:g} GB of device memory, and {nobody} has {most}"

    return _Demand(lambda one: (one.device.memory_gb or 0) >= asked, told)


def _label(name: str, value: str) -> _Demand:
    def told(able: Collection[Member], nobody: str) -> str:
        seen = sorted(
            {one.capabilities.labels[name] for one in able if name in one.capabilities.labels}
        )
        there = (
            f"; there is {', '.join(f'{name}={other}' for other in seen[:_NAMED])}" if seen else ""
        )
        return f"it asks for the label {name}={value}, and {nobody} has it{there}"

    return _Demand(lambda one: one.labels.get(name) == value, told)
