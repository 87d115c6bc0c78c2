"""What waits for workers, in the order in which it is served, and why it is not served now."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.service import lines, summaries
from tuner.service.lines import QueueLine, Turns
from tuner.spec.fleet import QueueDepth, QueueEntry, QueueView, Why
from tuner.spec.states import StudyState
from tuner.store import preemptions, studies, workers
from tuner.store.engine import Database
from tuner.wording import listed, quantity

_SHOWN = (*studies.OPEN, StudyState.PAUSED)


def queue(db: Database) -> QueueView:
    """Every study that is not over, with what of it waits, and why."""
    with db.snapshot() as session:
        return queue_in(session, now=db.now())


def queue_in(session: Session, *, now: datetime) -> QueueView:
    """The queue as the session's transaction sees it."""
    rows = studies.list_in(session, _SHOWN)
    fleet, busy = summaries.fleet(session, now=now), workers.busy(session)
    found = lines.of(session, rows, fleet, now=now)
    free = lines.free(fleet, busy)
    turns, asked = lines.turns(found, free), preemptions.count_asked(session)
    return QueueView(
        entries=tuple(
            _entry(line, number, turns, asked.get(line.study.id, 0))
            for number, line in enumerate(found, start=1)
        ),
        workers=len(fleet),
        free=tuple(free),
    )


def depth(view: QueueView) -> QueueDepth:
    """The queue in numbers."""
    running = sum(entry.running for entry in view.entries)
    return QueueDepth(ready=view.ready, running=running, workers=view.workers, free=len(view.free))


def _entry(line: QueueLine, number: int, turns: Turns, preempting: int) -> QueueEntry:
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
        if why is Why.BUSY and preempting:
            why = Why.PREEMPTING
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
        ready=lines.ready(line),
        preempting=preempting,
        parallel=0 if line.rules is None else line.rules.spec.search.parallel,
        share=line.place.share,
        why=why,
        reason=_making_room(preempting)
        if why is Why.PREEMPTING
        else _reason(line, why, behind, takers or [w for w in turns.free if w in line.fits]),
        detail=line.detail,
        workers=tuple(sorted(line.fits)),
        free=tuple(takers),
        behind=tuple(behind),
    )


def _making_room(preempting: int) -> str:
    """What is said of a study for which running trials of others were asked to yield."""
    trials = quantity(preempting, "running trial")
    makes = "makes" if preempting == 1 else "make"
    return f"{trials} of lower priority {makes} room for it, at the next checkpoint"


def _reason(line: QueueLine, why: Why, behind: Sequence[str], free: Sequence[str]) -> str:
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
