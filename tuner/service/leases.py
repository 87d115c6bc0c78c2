"""What the holder of a lease does with it: heartbeat, report, finish.

Each is one transaction, which those that come at the same moment share: see `tuner.store.group`.
A thread calls `heartbeat`, `report` and `finish`; a server hands the jobs that they do to
`Database.soon`, so that no thread waits for each.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.errors import Conflict, InvalidInput, Problem
from tuner.search.fidelity import began
from tuner.search.rules import Rules
from tuner.service import (
    budget,
    deployments,
    documents,
    lifecycle,
    rankings,
    surroundings,
    versions,
)
from tuner.service.searches import Searches
from tuner.spec.counting import Counting
from tuner.spec.deployment import Measured
from tuner.spec.messages import (
    Action,
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
    Verdict,
)
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.vitals import Vitals
from tuner.store import leases, reports, studies, trials, workers
from tuner.store.engine import Database
from tuner.store.group import Job
from tuner.store.held import HeldTrial
from tuner.store.leases import Held
from tuner.store.tables import Study
from tuner.wording import quantity

logger = logging.getLogger(__name__)


def heartbeat(
    db: Database,
    lease: str,
    token: str,
    *,
    lease_seconds: float,
    vitals: Vitals | None = None,
) -> LeaseStatus:
    """Renew the lease, and note what its worker says of itself; the reply carries a verdict.

    Raises:
        LeaseLost: the lease is not the trial's any more.
    """
    return db.together(renewal(db, lease, token, lease_seconds=lease_seconds, vitals=vitals))


def renewal(
    db: Database,
    lease: str,
    token: str,
    *,
    lease_seconds: float,
    vitals: Vitals | None = None,
) -> Job[LeaseStatus]:
    """What `heartbeat` does, as a job."""

    def renew(session: Session) -> LeaseStatus:
        held, now = leases.hold(session, lease, token), db.moment(session)
        leases.renew(held.attempt, now=now, seconds=lease_seconds)
        if vitals is not None and vitals.usage is not None:
            leases.note_usage(session, held.attempt, vitals.usage.model_dump(mode="json"))
        if vitals is not None and vitals.log is not None:
            leases.keep_log(session, held.attempt, vitals.log, now=now)
        verdict = verdict_now(held.study, held.trial, documents.spec_of(held.study), now=now)
        return LeaseStatus(verdict=verdict, expires_at=held.attempt.expires_at)

    return Job(leases.need(lease, token), renew)


def report(
    db: Database,
    lease: str,
    token: str,
    batch: ReportBatch,
    *,
    lease_seconds: float,
    searches: Searches,
) -> LeaseStatus:
    """Store reports, once per step, judge the trial, renew the lease; the reply is the verdict.

    Raises:
        LeaseLost: the lease is not the trial's any more.
        Conflict: a step came before the one that it follows, or from other data.
        InvalidInput: a step lies beyond the trial's budget, a matrix has not the study's classes.
    """
    return db.together(
        reporting(db, lease, token, batch, lease_seconds=lease_seconds, searches=searches)
    )


def reporting(  # a use case names all that it needs
    db: Database,
    lease: str,
    token: str,
    batch: ReportBatch,
    *,
    lease_seconds: float,
    searches: Searches,
) -> Job[LeaseStatus]:
    """What `report` does, as a job."""

    def store(session: Session) -> LeaseStatus:
        held, now = leases.hold(session, lease, token), db.moment(session)
        fresh = [message for message in batch.reports if message.step > held.trial.step]
        _refuse_disorder(held.trial, fresh)
        rules = documents.rules_of(held.study)
        spec = rules.spec
        version = versions.named_by(rules, held.trial, fresh)
        _refuse_misfits(spec, fresh)
        if version is not None:
            versions.note(session, held.study, held.trial, version, now=now)
        for message in fresh:
            _store(session, held, rules, message, now=now, searches=searches)
        if fresh and surroundings.is_warned(held.study):
            surroundings.trained(session, held, now=now)
        leases.renew(held.attempt, now=now, seconds=lease_seconds)
        verdict = verdict_now(held.study, held.trial, spec, now=now)
        return LeaseStatus(verdict=verdict, expires_at=held.attempt.expires_at, stored=len(fresh))

    return Job(leases.need(lease, token), store)


def measure(
    db: Database, lease: str, token: str, measured: Measured, *, lease_seconds: float
) -> LeaseStatus:
    """Take in what a trial's network costs, before its first step; the reply carries the verdict.

    Raises:
        LeaseLost: the lease is not the trial's any more.
        InvalidInput: the study does not say where its models are to run.
    """
    return db.together(measuring(db, lease, token, measured, lease_seconds=lease_seconds))


def measuring(
    db: Database, lease: str, token: str, measured: Measured, *, lease_seconds: float
) -> Job[LeaseStatus]:
    """What `measure` does, as a job."""

    def take_in(session: Session) -> LeaseStatus:
        held, now = leases.hold(session, lease, token), db.moment(session)
        deployments.take_in(session, held, measured, now=now)
        leases.renew(held.attempt, now=now, seconds=lease_seconds)
        verdict = verdict_now(held.study, held.trial, documents.spec_of(held.study), now=now)
        return LeaseStatus(verdict=verdict, expires_at=held.attempt.expires_at)

    return Job(leases.need(lease, token), take_in)


def finish(db: Database, lease: str, token: str, outcome: Outcome) -> None:
    """End the lease with its outcome; the same outcome again is fine.

    Raises:
        LeaseLost: the lease ended in another way.
        Conflict: the trial is said to be completed, but steps are missing.
    """
    db.together(ending(db, lease, token, outcome))


def ending(db: Database, lease: str, token: str, outcome: Outcome) -> Job[None]:
    """What `finish` does, as a job."""

    def end(session: Session) -> None:
        held = leases.locked(session, lease, token)
        if held.attempt.ended_at is not None and held.attempt.outcome == outcome.kind:
            return
        leases.require_held(held)
        if outcome.kind is OutcomeKind.COMPLETED and held.trial.step < held.trial.epochs:
            raise Conflict(
                f"trial {held.trial.number} is said to be completed, but only {held.trial.step} of "
                f"{quantity(held.trial.epochs, 'epoch')} reached the store; send the "
                "missing reports first"
            )
        now = db.moment(session)
        if outcome.log is not None:
            leases.keep_log(session, held.attempt, outcome.log, now=now)
        lifecycle.end_attempt(session, held, outcome, now=now)
        is_done = TrialState(held.trial.state).has_ended
        workers.ended(session, held.attempt.worker_id, is_done=is_done, now=now)

    return Job(leases.need(lease, token), end)


def verdict_now(study: Study, trial: HeldTrial, spec: StudySpec, *, now: datetime) -> Verdict:
    """What holds for a running trial now, whatever its reports say; else its last verdict."""
    if study.state in {StudyState.CANCELLED, StudyState.FAILED}:
        return Verdict(action=Action.STOP, reason=f"the study was {study.state}")
    last = trials.verdict_of(trial)
    if last.action in {Action.STOP, Action.PRUNE}:
        return last
    if trial.step >= trial.epochs:
        return Verdict()  # all its reports are in: stopping it now would waste it
    if spent := budget.spent_reason(study, spec, now=now):
        return Verdict(action=Action.STOP, reason=spent)
    if study.state == StudyState.PAUSED:
        return Verdict(action=Action.YIELD, reason="the study was paused")
    return last


def _refuse_disorder(trial: HeldTrial, fresh: Sequence[Report]) -> None:
    """Raise unless the reports continue the trial's steps one by one, within its budget."""
    for expected, message in enumerate(fresh, start=trial.step + 1):
        if message.step > trial.epochs:
            beyond = (
                f"step {message.step} lies beyond the trial's {quantity(trial.epochs, 'epoch')}"
            )
            raise InvalidInput([Problem(("reports", "step"), beyond)])
        if message.step != expected:
            raise Conflict(
                f"step {message.step} of trial {trial.number} came before step {expected}; "
                "send reports in order"
            )


def _refuse_misfits(spec: StudySpec, fresh: Sequence[Report]) -> None:
    """Raise unless every confusion matrix has a row for each class of the study."""
    classes = len(spec.dataset.classes)
    wrong = [
        (message.step, len(message.confusion))
        for message in fresh
        if message.confusion is not None and len(message.confusion) != classes
    ]
    if wrong:
        step, rows_sent = wrong[0]
        raise InvalidInput(
            [
                Problem(
                    ("reports", "confusion"),
                    f"the matrix of step {step} is {rows_sent}×{rows_sent}, but study "
                    f"'{spec.name}' has {classes} classes; send {classes}×{classes} counts",
                )
            ]
        )


def _store(
    session: Session,
    held: Held,
    rules: Rules,
    message: Report,
    *,
    now: datetime,
    searches: Searches,
) -> None:
    """Store the next step of a trial, and judge it if nothing was decided yet."""
    _, trial, study = held
    spec = rules.spec
    if spec.deployment is not None:
        message = deployments.joined(trial, message)
    message = rankings.named_metrics(spec, message)
    counting = Counting(spec.objective, began(rules, trial.source, message.step))
    seq = reports.record(session, study, trial, message, counting=counting, now=now)
    if message.step == 1:
        lifecycle.fail_if_undefined(session, study, spec, message, now=now)
    if trial.source != TrialSource.CONFIRM and rules.is_judged(trial.step):
        trials.mark_changed(trial, seq)  # searches take it in again
        _judge(session, held, rules, searches, now=now)


def _judge(
    session: Session, held: Held, rules: Rules, searches: Searches, *, now: datetime
) -> None:
    _, trial, study = held
    if trial.step >= trial.epochs:
        return  # nothing is left to save, also where trials differ in their epochs
    # The base recipe is trained to its end, so that no study reports worse than the textbook.
    known = trials.verdict_of(trial).action
    if trial.source == TrialSource.BASE or known not in {Action.CONTINUE, Action.YIELD}:
        return
    # Its peers are those on its own data, which need not be the ones that are ranked.
    with searches.of(session, study, rules, version=trial.data_version) as search:
        warnings = search.warnings()
        verdict = search.judge(trial.number, trial.step, closing=not budget.may_draw(study, rules))
    if versions.is_ranked(study, trial):
        studies.warn(session, study, warnings, now=now)
    if verdict.action is not Action.CONTINUE or known is Action.CONTINUE:
        trials.set_verdict(trial, verdict)  # what is to yield is judged all the same
    if verdict.action is not Action.CONTINUE:
        logger.info(
            "trial %s of %s: %s",
            trial.number,
            study.name,
            verdict.reason,
            extra={"study": study.name, "trial": trial.number},
        )
