"""Studies as they stand in line for workers: what each could give, to whom, or why to nobody.

It decides nothing: what holds a study back, which worker fits and which study comes first are
asked of `scheduling`, `demands` and `faults`, as for a worker's request.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.search.judge import promotion
from tuner.search.rules import Rules
from tuner.service import budget, demands, documents, faults, scheduling, searches
from tuner.service.scheduling import StudyPlace
from tuner.service.summaries import Present
from tuner.spec.fleet import Why
from tuner.store import limits, studies
from tuner.store.limits import HeldBack
from tuner.store.studies import Load
from tuner.store.tables import Study
from tuner.wording import quantity


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A study with what of it waits; `why` is None where it gives what it has to those that fit."""

    study: Study
    load: Load
    place: StudyPlace
    why: Why | None
    detail: str = ""
    rules: Rules | None = None
    left: int = 0
    fits: frozenset[str] = frozenset()


class Turns(NamedTuple):
    """Studies that are served, the first one first, and the free workers that ask next."""

    served: Sequence[QueueLine]
    free: Collection[str]
    takers: Mapping[int, Sequence[str]]  # by study


def of(
    session: Session, rows: Sequence[Study], fleet: Sequence[Present], *, now: datetime
) -> list[QueueLine]:
    """Where each of these studies stands: those that are served first, by their turn."""
    loads = studies.load(session, [row.id for row in rows])
    owners = scheduling.running_of(
        (row, loads[row.id]) for row in rows if row.state in studies.OPEN
    )
    found = [_line(session, row, loads[row.id], owners, fleet, now=now) for row in rows]
    held = limits.read(session)
    limited = [_as_limited(line, held) for line in found]
    return sorted(limited, key=lambda line: (line.why is not None, line.place))


def free(fleet: Sequence[Present], busy: Collection[int]) -> list[str]:
    """Names of the workers that could take a trial now."""
    return [each.name for each in fleet if each.id not in busy and not each.is_drained]


def turns(found: Sequence[QueueLine], free: Sequence[str]) -> Turns:
    """The studies that are served, with what these free workers take next."""
    served = [line for line in found if line.why is None]
    return Turns(served, free, _takers(served, free))


def _line(
    session: Session,
    study: Study,
    load: Load,
    owners: Mapping[str | None, int],
    fleet: Sequence[Present],
    *,
    now: datetime,
) -> QueueLine:
    place = scheduling.place_of(study, load, owners)
    try:
        rules = documents.rules_of(study)
        why, detail = _held_back(session, study, load, rules, now=now)
    except documents.DAMAGED as error:
        reason = documents.why(error, f"study '{study.name}'")
        return QueueLine(study, load, place, Why.UNREADABLE, reason)
    spec, left = rules.spec, budget.left(study, rules)
    fits = frozenset(
        each.name
        for each in fleet
        if not each.is_drained
        and scheduling.has_work_for(rules, each.capabilities)
        and not faults.bars(each.known, study.id, now=now)
    )
    if why is None and not fits:
        members = [each.for_study(study.id) for each in fleet]
        missing = demands.waiting_for(spec.resources, members, spec.deployment, rules.packages)
        why, detail = Why.NO_WORKER, rules.withheld or missing or "no worker is there that fits"
    return QueueLine(study, load, place, why, detail, rules, left, fits)


def _as_limited(line: QueueLine, held: HeldBack) -> QueueLine:
    """The line, held back where an admin holds back what it could give."""
    why = scheduling.barred(line.study, held)
    if why is None or line.why not in {None, Why.NO_WORKER}:
        return line
    if why is Why.MAINTENANCE:
        detail = "the server is in maintenance" + (f": {held.maintenance}" * bool(held.maintenance))
    else:
        owner = line.study.owner or ""
        detail = f"{owner} has spent {quantity(held.spent[owner], 'device hour')}, all there were"
    return replace(line, why=why, detail=detail)


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


def ready(line: QueueLine) -> int:
    """Trials that workers would be given now, if enough of them were there that fit."""
    if line.rules is None or line.why not in {None, Why.NO_WORKER}:
        return 0
    load = line.load
    # Of those at a rung none is counted before it is known to go on: one, where nothing else is.
    given = max(load.waiting + line.left, min(load.paused, 1))
    return max(0, min(line.rules.spec.search.parallel - load.running, given))


def _takers(served: Sequence[QueueLine], free: Sequence[str]) -> dict[int, list[str]]:
    """The free workers that take a trial of each study, if they ask one after the other."""
    takers: dict[int, list[str]] = {line.study.id: [] for line in served}
    begun = Counter[str | None]()  # by owner
    for worker in free:
        open_to = [line for line in served if worker in line.fits and _has_more(line, takers)]
        if open_to:
            first = min(open_to, key=lambda line: _place_after(line, takers, begun))
            takers[first.study.id].append(worker)
            begun[first.study.owner] += 1
    return takers


def _has_more(line: QueueLine, takers: Mapping[int, Sequence[str]]) -> bool:
    given = len(takers[line.study.id])
    assert line.rules is not None
    room = line.rules.spec.search.parallel - line.load.running
    return given < min(room, line.load.waiting + line.load.paused + line.left)


def _place_after(
    line: QueueLine, takers: Mapping[int, Sequence[str]], begun: Mapping[str | None, int]
) -> StudyPlace:
    """Where the study stands once all takers have begun."""
    place, given = line.place, len(takers[line.study.id])
    return place._replace(
        owner_share=place.owner_share + begun[line.study.owner],
        share=(line.load.running + given) / line.study.weight,
    )
