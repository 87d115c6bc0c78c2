"""How many workers a fleet is to have, and which of them start, drain and end; pure.

A worker leaves in three steps: the server is told to drain it, so that it gets no other trial; once
it holds none, the engine is asked to end it; if it is still there after a while, it is killed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from pydantic import Field

from tuner.spec.config import Section
from tuner.spec.fleet import QueueView, Why, WorkerView
from tuner.wording import quantity
from workers.fleet.contract import FleetMember
from workers.fleet.settings import FleetSettings

GRACE = 300.0  # seconds that a worker has to end: its trainer saves, and its checkpoint goes up
_LONGEST_HOLD = 600.0
_AGAIN = 3600.0  # seconds after which a study that no worker of the fleet fitted is counted again
_FREE = {"idle", "unfit"}
_LEAVING = {"draining", "drained"}


class FleetRecord(Section):
    """What a fleet keeps from one look to the next; all times are in seconds since 1970."""

    at: float | None = None
    counted: int = 0  # workers that cost something at the last look
    seconds: float = 0.0  # device seconds that the fleet has held
    low_since: float | None = None  # since when less workers than there are would do
    peak: int = 0  # the most that were wanted since then
    starting: frozenset[str] = frozenset()  # started, and not seen by the server yet
    failures: int = 0  # workers in a row that ended before the server saw them
    hold_until: float = 0.0  # no start before, because of them
    ending: Mapping[str, float] = Field(default_factory=dict)  # when the engine was asked
    unserved: Mapping[int, float] = Field(default_factory=dict)  # studies, and until when


@dataclass(frozen=True, slots=True)
class Sight:
    """What engine and server say at one moment."""

    now: float
    members: Sequence[FleetMember]
    workers: Mapping[str, WorkerView]
    queue: QueueView


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What to do, by worker, and why; `memory` holds once it is done."""

    desired: int
    reason: str
    memory: FleetRecord
    start: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()  # on the server
    end: tuple[str, ...] = ()  # by the engine, if it can be asked
    stop: tuple[str, ...] = ()


def decide(sight: Sight, memory: FleetRecord, settings: FleetSettings, *, name: str) -> FleetPlan:
    """What brings the fleet nearer to what it is to be."""
    memory = _noted(sight, memory, settings)
    staying = [each for each in sight.members if not _is_leaving(each, sight, memory)]
    spent = settings.gpu_hours is not None and memory.seconds >= settings.gpu_hours * 3600
    work = _work(sight, memory, staying)
    desired = 0 if spent else max(settings.min, min(settings.max, ceil(work / settings.slots)))
    memory, surplus = _surplus(desired, len(staying), memory, settings, now=sight.now)
    chosen = sorted(staying, key=lambda each: _cost_of_leaving(each, sight))
    leaving = [each.name for each in chosen[: len(staying) if spent else surplus]]
    ending = _to_end(sight, memory, leaving, spent=spent)
    stop = tuple(each for each, since in memory.ending.items() if sight.now - since >= GRACE)
    room = min(desired - len(staying), settings.max - len(sight.members))
    is_held = sight.now < memory.hold_until
    start = () if is_held else _free_names(name, sight, memory, max(0, room))
    return FleetPlan(
        desired=desired,
        reason=_reason(memory, settings, work, spent=spent, now=sight.now),
        memory=memory.model_copy(
            update={
                "starting": memory.starting | set(start),
                "ending": {**memory.ending, **dict.fromkeys(ending, sight.now)},
            }
        ),
        start=start,
        drain=tuple(each for each in leaving if each in sight.workers),
        end=ending,
        stop=stop,
    )


def _noted(sight: Sight, memory: FleetRecord, settings: FleetSettings) -> FleetRecord:
    """The memory with what is seen now: hours, workers that have ended, studies nobody fits."""
    listed = {each.name for each in sight.members}
    elapsed = 0.0 if memory.at is None else max(0.0, sight.now - memory.at)
    devices = settings.gpus or 1.0
    seen = {each for each in memory.starting if _is_seen(sight.workers.get(each))}
    failed = memory.starting - listed - seen - set(memory.ending)
    failures = memory.failures + len(failed) if failed else 0 if seen else memory.failures
    hold = settings.interval * 2.0 ** min(failures, 10)
    hold_until = sight.now + min(_LONGEST_HOLD, hold) if failed else memory.hold_until
    return memory.model_copy(
        update={
            "at": sight.now,
            "counted": sum(not each.is_pending for each in sight.members),
            "seconds": memory.seconds + elapsed * memory.counted * devices,
            "starting": frozenset(memory.starting & listed - seen),
            "failures": failures,
            "hold_until": hold_until,
            "ending": {each: at for each, at in memory.ending.items() if each in listed},
            "unserved": _unserved(sight, memory),
        }
    )


def _is_seen(worker: WorkerView | None) -> bool:
    return worker is not None and worker.state != "gone"


def _unserved(sight: Sight, memory: FleetRecord) -> dict[int, float]:
    """Studies that no worker fits although one of this fleet is free: more like it do not help."""
    lacking = {each.study_id for each in sight.queue.entries if each.why is Why.NO_WORKER}
    known = {study: until for study, until in memory.unserved.items() if study in lacking}
    ours = (sight.workers.get(each.name) for each in sight.members)
    if any(worker is not None and worker.state in _FREE for worker in ours):
        return {study: known.get(study, sight.now + _AGAIN) for study in lacking}
    return {study: until for study, until in known.items() if until > sight.now}


def _work(sight: Sight, memory: FleetRecord, staying: Sequence[FleetMember]) -> int:
    """Trials that the staying workers hold, and those that are ready for more."""
    held = (sight.workers.get(each.name) for each in staying)
    ready = sum(each.ready for each in sight.queue.entries if each.study_id not in memory.unserved)
    return ready + sum(worker.running for worker in held if worker is not None)


def _is_leaving(member: FleetMember, sight: Sight, memory: FleetRecord) -> bool:
    worker = sight.workers.get(member.name)
    return member.name in memory.ending or (worker is not None and worker.state in _LEAVING)


def _surplus(
    desired: int, staying: int, memory: FleetRecord, settings: FleetSettings, *, now: float
) -> tuple[FleetRecord, int]:
    """How many workers are too many, after a cooldown in which never more were wanted."""
    over = max(0, staying - settings.max)
    if desired >= staying:
        return memory.model_copy(update={"low_since": None, "peak": 0}), over
    since = now if memory.low_since is None else memory.low_since
    peak = max(desired, memory.peak)
    if now - since < settings.cooldown:
        return memory.model_copy(update={"low_since": since, "peak": peak}), over
    return memory.model_copy(update={"low_since": None, "peak": 0}), max(over, staying - peak)


def _cost_of_leaving(member: FleetMember, sight: Sight) -> tuple[bool, int, str]:
    """Workers that wait for a place go first, then those with the fewest trials."""
    worker = sight.workers.get(member.name)
    return not member.is_pending, 0 if worker is None else worker.running, member.name


def _to_end(
    sight: Sight, memory: FleetRecord, leaving: Sequence[str], *, spent: bool
) -> tuple[str, ...]:
    """Workers that the engine is to end: they hold no trial, and can get none."""
    found = []
    for member in sight.members:
        worker = sight.workers.get(member.name)
        is_idle = worker is None or worker.state == "drained"
        is_left = worker is not None and worker.state == "gone" and worker.drained_at is not None
        was_asked = member.name in leaving or _is_leaving(member, sight, memory)
        if member.name in memory.ending:
            continue
        if is_left or (was_asked and (spent or is_idle)):
            found.append(member.name)
    return tuple(found)


def _free_names(name: str, sight: Sight, memory: FleetRecord, count: int) -> tuple[str, ...]:
    """The lowest numbers that no worker has; a lease may outlive the worker that held it."""
    taken = {each.name for each in sight.members} | set(memory.ending)
    taken |= {each.name for each in sight.workers.values() if each.running}
    found, number = list[str](), 1
    while len(found) < count:
        if (candidate := f"{name}-{number}") not in taken:
            found.append(candidate)
        number += 1
    return tuple(found)


def _reason(
    memory: FleetRecord, settings: FleetSettings, work: int, *, spent: bool, now: float
) -> str:
    if spent:
        hours = quantity(settings.gpu_hours or 0, "device hour")
        return f"the fleet has had its {hours}: all hand back and end"
    text = f"{quantity(work, 'trial')} ready or running, {quantity(settings.slots, 'slot')} each"
    if now < memory.hold_until:
        text += (
            f"; {quantity(memory.failures, 'worker')} ended before asking for a trial, "
            f"so that none is started for {memory.hold_until - now:.0f} s: see their logs"
        )
    return text
