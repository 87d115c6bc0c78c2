"""Let running trials make room for studies of higher priority, at their next checkpoint.

A mark on the trial is the verdict that its next report or heartbeat gets, so that neither costs
anything more than before. Each round decides anew: what is not needed any more is taken back.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.service import demands, documents, lines, scheduling, summaries
from tuner.service.yielding import HeldLease, Holder, Needy, choose
from tuner.spec.messages import Action, Verdict
from tuner.store import leases, preemptions, studies, trials, workers
from tuner.store.engine import Database
from tuner.store.preemptions import RunningAttempt
from tuner.store.tables import Study

logger = logging.getLogger(__name__)
# How long a worker is left alone that gave a trial up for a study and then took none of it.
REST = timedelta(hours=1)


class _Beneficiary(NamedTuple):
    """The study that a trial makes room for."""

    id: int
    name: str
    priority: int


_Changes = Mapping[str, _Beneficiary | None]  # by lease; None: it goes on after all


def preempt(db: Database) -> int:
    """Ask as many running trials to yield as studies of higher priority need, and no others.

    Gives the number of trials of which something else holds from now on.
    """
    with db.snapshot() as session:
        plan = _plan(session, now=db.now())
    changed = 0
    for study_id, changes in sorted(plan.items()):
        with suppress(NotFound), db.transaction() as session:  # it was deleted meanwhile
            changed += _carry_out(session, studies.lock(session, study_id), changes)
    return changed


def _plan(session: Session, *, now: datetime) -> dict[int, _Changes]:
    """What is to change, by the study whose trials yield or go on."""
    found = preemptions.running(session)
    rows = {row.id: row for row in studies.list_in(session, studies.OPEN)}
    held = _held(found, rows, now=now)
    needy = _needy(session, rows, held, now=now)
    chosen = choose(needy, held)
    plan: dict[int, dict[str, _Beneficiary | None]] = defaultdict(dict)
    for one in held:
        study = chosen.get(one.lease)
        if study != one.yields_to and not one.is_leaving:
            by = None if study is None else _beneficiary(rows[study])
            plan[one.holder.study][one.lease] = by
    return dict(plan)


def _beneficiary(row: Study) -> _Beneficiary:
    return _Beneficiary(row.id, row.name, row.priority)


def _held(
    found: list[RunningAttempt], rows: Mapping[int, Study], *, now: datetime
) -> list[HeldLease]:
    """Leases of open studies as the decision sees them; others are leaving, or nobody's."""
    running = Counter(one.study_id for one in found)
    held = list[HeldLease]()
    for one in found:
        row = rows.get(one.study_id)
        if row is None or not documents.is_readable(row):
            continue
        held.append(
            HeldLease(
                one.lease,
                one.worker,
                Holder(row.id, row.priority, running[row.id], row.weight),
                one.since,
                is_leaving=_is_leaving(one) or not scheduling.is_at_work(row, now=now),
                may_yield=documents.spec_of(row).preemptible,
                yields_to=one.yields_to,
            )
        )
    return held


def _is_leaving(one: RunningAttempt) -> bool:
    """Whether a trial gives its worker up for a reason of its own."""
    action = trials.verdict_of(one).action
    asked = action is Action.YIELD and one.yields_to is not None
    return one.step >= one.epochs or not (asked or action is Action.CONTINUE)


def _needy(
    session: Session, rows: Mapping[int, Study], held: list[HeldLease], *, now: datetime
) -> list[Needy]:
    """Studies for whose next trials too few workers are free, the first one first.

    Those that beat nothing that runs are not looked at, which is all of them on most days.
    """
    lowest = min((one.holder.priority for one in held if one.may_yield), default=None)
    above = [row for row in rows.values() if lowest is not None and row.priority > lowest]
    if not above:
        return []
    fleet = summaries.fleet(session, now=now)
    able = {each.name: each.capabilities for each in fleet}
    refused = preemptions.refusals(session, since=now - REST)
    turns = lines.turns(
        lines.of(session, above, fleet, now=now), lines.free(fleet, workers.busy(session))
    )
    needy = list[Needy]()
    for line in turns.served:
        study, spec = line.study, documents.spec_of(line.study)
        # What it trains is taken from there: a worker that only measures for it is not enough.
        fits = {
            name
            for name in line.fits
            if demands.fits(spec.resources, able[name])
            and (spec.deployment is None or demands.measures(spec.deployment, able[name]))
            and (name, study.id) not in refused
        }
        wanted = lines.ready(line) - len(turns.takers[study.id])
        if wanted > 0 and fits:
            needy.append(Needy(study.id, study.priority, wanted, fits))
    return needy


def _carry_out(session: Session, study: Study, changes: _Changes) -> int:
    """Mark the trials of a locked study that yield, and let others go on; give their number."""
    changed = 0
    for held in leases.list_held(session, study):
        if held.attempt.id not in changes:
            continue
        action, by = trials.verdict_of(held.trial).action, changes[held.attempt.id]
        if action not in {Action.CONTINUE, Action.YIELD} or held.trial.step >= held.trial.epochs:
            continue  # it leaves by itself since it was looked at
        if by is None:
            trials.set_verdict(held.trial, None)
            logger.info("trial %s of %s goes on after all", held.trial.number, study.name)
        else:
            reason = f"it makes room for study '{by.name}', whose priority is {by.priority}"
            trials.set_verdict(held.trial, Verdict(action=Action.YIELD, reason=reason))
            logger.info("trial %s of %s: %s", held.trial.number, study.name, reason)
        preemptions.note(session, held.attempt.id, None if by is None else by.id)
        changed += 1
    return changed
