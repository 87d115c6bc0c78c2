"""What waits for workers, in the order in which it is served, and why it is not served now.

It decides nothing: what holds a study back, which worker fits and which study comes first are
asked of `scheduling`, `demands` and `faults`, as for a worker's request.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.search.judge import promotion
from tuner.search.rules import Rules
from tuner.service import budget, demands, documents, faults, scheduling, searches, summaries
from tuner.service.scheduling import StudyPlace
from tuner.service.summaries import Present
from tuner.spec.fleet import QueueDepth, QueueEntry, QueueView, Why
from tuner.spec.states import StudyState
from tuner.store import studies, workers
from tuner.store.engine import Database
from tuner.store.studies import Load
from tuner.store.tables import Study
from tuner.wording import listed, quantity

_SHOWN = (*studies.OPEN, StudyState.PAUSED)


@dataclass(frozen=True, slots=True)
class _Line:
    """A study with what of it waits; `why` is None where it gives what it has to those that fit."""

    study: Study
    load: Load
    place: StudyPlace
    why: Why | None
    detail: str = ""
    rules: Rules | None = None
    left: int = 0
    fits: frozenset[str] = frozenset()


class _Turns(NamedTuple):
    """Studies that are served, the first one first, and the free workers that ask next."""

    served: Sequence[_Line]
    free: Collection[str]
    takers: Mapping[int, Sequence[str]]  # by study


def queue(db: Database) -> QueueView:
    """Every study that is not over, with what of it waits, and why."""
    with db.snapshot() as session:
        return queue_in(session, now=db.now())


def queue_in(session: Session, *, now: datetime) -> QueueView:
    """The queue as the session's transaction sees it."""
    rows = studies.list_in(session, _SHOWN)
    loads = studies.load(session, [row.id for row in rows])
    fleet, busy = summaries.fleet(session, now=now), workers.busy(session)
    lines = [_line(session, row, loads[row.id], fleet, now=now) for row in rows]
    lines.sort(key=lambda line: (line.why is not None, line.place))
    served = [line for line in lines if line.why is None]
    free = [each.name for each in fleet if each.id not in busy and not each.is_drained]
    turns = _Turns(served, free, _takers(served, free))
    return QueueView(
        entries=tuple(_entry(line, index + 1, turns) for index, line in enumerate(lines)),
        workers=len(fleet),
        free=tuple(free),
    )


def depth(view: QueueView) -> QueueDepth:
    """The queue in numbers."""
    running = sum(entry.running for entry in view.entries)
    return QueueDepth(ready=view.ready, running=running, workers=view.workers, free=len(view.free))


def _line(
    session: Session, study: Study, load: Load, fleet: Sequence[Present], *, now: datetime
) -> _Line:
    place = scheduling.place_of(study, load)
    try:
        rules = documents.rules_of(study)
        why, detail = _held_back(session, study, load, rules, now=now)
    except documents.DAMAGED as error:
        reason = documents.why(error, f"study '{study.name}'")
        return _Line(study, load, place, Why.UNREADABLE, reason)
    spec, left = rules.spec, budget.left(study, rules)
    fits = frozenset(
        each.name
        for each in fleet
        if not each.is_drained
        and scheduling.has_work_for(spec, each.capabilities)
        and not faults.bars(each.known, study.id, now=now)
    )
    if why is None and not fits:
        members = [each.for_study(study.id) for each in fleet]
        missing = demands.waiting_for(spec.resources, members, spec.deployment)
        why, detail = Why.NO_WORKER, missing or "no worker is there that fits"
    return _Line(study, load, place, why, detail, rules, left, fits)


def _held_back(
    session: Session, study: Study, load: Load, rules: Rules, *, now: datetime
) -> tuple[Why | None, str]:
    """Why a study gives nothing to anybody, and what is to be said of it besides."""
    why = scheduling.held_back(study, load, now=now)
    if why is Why.SPENT:
        return why, budget.spent_reason(study, rules.spec, now=now)
    if why is None and not load.waiting and not budget.may_draw(study, rules):
        found = promotion(rules, searches.curves(session, study, rules), closing=True)
        return (Why.AT_RUNG if found is None else None), ""
    return why, study.reason if why is Why.PAUSED else ""


def _ready(line: _Line) -> int:
    """Trials that workers would be given now, if enough of them were there that fit."""
    if line.rules is None or line.why not in {None, Why.NO_WORKER}:
        return 0
    load = line.load
    # Of those at a rung none is counted before it is known to go on: one, where nothing else is.
    given = max(load.waiting + line.left, min(load.paused, 1))
    return max(0, min(line.rules.spec.search.parallel - load.running, given))


def _takers(served: Sequence[_Line], free: Sequence[str]) -> dict[int, list[str]]:
    """The free workers that take a trial of each study, if they ask one after the other."""
    takers: dict[int, list[str]] = {line.study.id: [] for line in served}
    for worker in free:
        open_to = [line for line in served if worker in line.fits and _has_more(line, takers)]
        if open_to:
            first = min(open_to, key=lambda line: _place_after(line, takers))
            takers[first.study.id].append(worker)
    return takers


def _has_more(line: _Line, takers: Mapping[int, Sequence[str]]) -> bool:
    given = len(takers[line.study.id])
    assert line.rules is not None
    room = line.rules.spec.search.parallel - line.load.running
    return given < min(room, line.load.waiting + line.load.paused + line.left)


def _place_after(line: _Line, takers: Mapping[int, Sequence[str]]) -> StudyPlace:
    """Where the study stands once its takers have begun."""
    running = line.load.running + len(takers[line.study.id])
    return scheduling.place_of(line.study, line.load._replace(running=running))


def _entry(line: _Line, number: int, turns: _Turns) -> QueueEntry:
    study, load, takers = line.study, line.load, turns.takers.get(line.study.id, ())
    why, behind = line.why, list[str]()
    if why is None:
        behind = [
            other.study.name
            for other in turns.served
            if other.place < line.place and other.fits & line.fits
        ]
        is_any_free = any(worker in line.fits for worker in turns.free)
        why = Why.NEXT if takers else Why.BEHIND if is_any_free and behind else Why.BUSY
    return QueueEntry(
        place=number if line.why is None else None,
        study=study.name,
        study_id=study.id,
        state=StudyState(study.state),
        priority=study.priority,
        weight=study.weight,
        waiting=load.waiting,
        running=load.running,
        paused=load.paused,
        left=line.left,
        ready=_ready(line),
        parallel=0 if line.rules is None else line.rules.spec.search.parallel,
        share=line.place.share,
        why=why,
        reason=_reason(line, why, behind, takers or [w for w in turns.free if w in line.fits]),
        detail=line.detail,
        workers=tuple(sorted(line.fits)),
        free=tuple(takers),
        behind=tuple(behind),
    )


def _reason(line: _Line, why: Why, behind: Sequence[str], free: Sequence[str]) -> str:
    """Why a study's next trial is not with a worker, in words."""
    first = f"{listed(behind)} {'comes' if len(behind) == 1 else 'come'} first"
    one = len(free) == 1
    count = len(line.fits)
    every = (
        "the only worker that fits is"
        if count == 1
        else f"all {quantity(count, 'worker')} that fit are"
    )
    running, paused = line.load.running, line.load.paused
    run = "runs" if running == 1 else "run"
    words = {
        Why.NEXT: f"{listed(free)} {'is free and takes' if one else 'are free and take'} it next",
        Why.BEHIND: f"{listed(free)} {'is' if one else 'are'} free, but {first}",
        Why.BUSY: f"{every} busy" + (f", and {first}" if behind else ""),
        Why.AT_RUNG: f"all is drawn, and of {quantity(paused, 'paused trial')} none may go on "
        "before others have reached the same rung",
        Why.PARALLEL: f"{quantity(running, 'trial')} of it {run}, as many as its `parallel` allows",
        Why.DRAWN: f"all is drawn: it ends with {quantity(running, 'trial')} that {run}",
        Why.PAUSED: line.detail or "it is paused",
    }
    return words.get(why, line.detail)
