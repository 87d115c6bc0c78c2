"""Use cases of a worker: take a trial, report, heartbeat, finish.

Each is one transaction, which those that come at the same moment share: see `tuner.store.group`.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from tuner.errors import Conflict, InvalidSpec, Problem
from tuner.resolve import resolve
from tuner.search.fidelity import is_staged, staged, target
from tuner.search.judge import judged_steps
from tuner.service import ahead, copies, endings, rankings, rows
from tuner.service.searches import Search, Searches
from tuner.spec.config import TrialConfig
from tuner.spec.messages import (
    Action,
    ArtifactRef,
    Assignment,
    Capabilities,
    LeaseRequest,
    LeaseStatus,
    Outcome,
    OutcomeKind,
    Report,
    ReportBatch,
    Verdict,
)
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.study import Resources, StudySpec
from tuner.store import artifacts, events, leases, reports, studies, trials, workers
from tuner.store.engine import Database
from tuner.store.leases import Held
from tuner.store.tables import Study, Trial, Worker

logger = logging.getLogger(__name__)
# Trials that are trained once and fully, whatever rungs there are.
_WHOLE = frozenset({TrialSource.BASE, TrialSource.CONFIRM})


def take(
    db: Database, request: LeaseRequest, *, lease_seconds: float, searches: Searches
) -> Assignment | None:
    """Give the worker a trial: the study is chosen, its row locked, params drawn, a lease granted.

    None when no open study has a trial that this worker may train now.
    """

    def take_from(session: Session, study_id: int) -> Assignment | None:
        session.flush()  # what others of this group wrote is counted below
        study = studies.lock(session, study_id)
        now = db.now()  # after the wait for the lock
        trial = _next_trial(session, study, searches, now=now)
        if trial is None:
            return None
        worker = _note(session, request, now=now)
        return _assign(session, study, trial, worker, now=now, seconds=lease_seconds)

    for study_id, spec in _in_turn(db, request):
        # One study at a time: two rows locked in two orders would be a deadlock.
        with ahead.drawn(db, searches, study_id, spec):
            assignment = db.together(study_id, partial(take_from, study_id=study_id))
        if assignment is not None:
            ahead.order(db, searches, study_id, spec)
            return assignment
    with db.transaction() as session:
        _note(session, request, now=db.now())
    return None


def _note(session: Session, request: LeaseRequest, *, now: datetime) -> Worker:
    capabilities = request.capabilities.model_dump(mode="json")
    return workers.seen(session, request.worker, capabilities, now=now)


def heartbeat(db: Database, lease: str, token: str, *, lease_seconds: float) -> LeaseStatus:
    """Renew the lease; the reply carries a verdict. Raises LeaseLost."""

    def renew(session: Session) -> LeaseStatus:
        held = leases.hold(session, lease, token)
        leases.renew(held.attempt, now=db.now(), seconds=lease_seconds)
        verdict = standing_verdict(held.study, held.trial, rows.spec_of(held.study), now=db.now())
        return LeaseStatus(verdict=verdict, expires_at=held.attempt.expires_at)

    return db.together(leases.study_of(lease), renew)


def report(  # a use case names all that it needs
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
        Conflict: a step came before the one that it follows.
        InvalidSpec: a step lies beyond the trial's budget.
    """

    def store(session: Session) -> LeaseStatus:
        held = leases.hold(session, lease, token)
        now = db.now()
        fresh = [message for message in batch.reports if message.step > held.trial.step]
        _refuse_disorder(held.trial, fresh)
        spec = rows.spec_of(held.study)
        for message in fresh:
            _store(session, held, spec, message, now=now, searches=searches)
        leases.renew(held.attempt, now=now, seconds=lease_seconds)
        verdict = standing_verdict(held.study, held.trial, spec, now=now)
        return LeaseStatus(verdict=verdict, expires_at=held.attempt.expires_at, stored=len(fresh))

    return db.together(leases.study_of(lease), store)


def finish(db: Database, lease: str, token: str, outcome: Outcome) -> None:
    """End the lease with its outcome; the same outcome again is fine.

    Raises:
        LeaseLost: the lease ended in another way.
        Conflict: the trial is said to be completed, but steps are missing.
    """

    def end(session: Session) -> None:
        held = leases.locked(session, lease, token)
        if held.attempt.ended_at is not None and held.attempt.outcome == outcome.kind:
            return
        leases.require_held(held)
        if outcome.kind is OutcomeKind.COMPLETED and held.trial.step < held.trial.epochs:
            raise Conflict(
                f"trial {held.trial.number} is said to be completed, but only {held.trial.step} of "
                f"{held.trial.epochs} epochs reached the store; send the missing reports first"
            )
        now = db.now()
        endings.end_attempt(session, held, outcome, now=now)
        worker = session.get_one(Worker, held.attempt.worker_id)
        worker.last_seen_at = now
        if TrialState(held.trial.state).has_ended:
            worker.trials_done += 1

    db.together(leases.study_of(lease), end)


def standing_verdict(study: Study, trial: Trial, spec: StudySpec, *, now: datetime) -> Verdict:
    """What holds for a running trial now, whatever its reports say; else its last verdict."""
    if study.state in {StudyState.CANCELLED, StudyState.FAILED}:
        return Verdict(action=Action.STOP, reason=f"the study was {study.state}")
    last = rows.verdict_of(trial)
    if last.action in {Action.STOP, Action.PRUNE}:
        return last
    if trial.step >= trial.epochs:
        return Verdict()  # all its reports are in: stopping it now would waste it
    if spent := endings.spent_reason(study, spec, now=now):
        return Verdict(action=Action.STOP, reason=spent)
    if study.state == StudyState.PAUSED:
        return Verdict(action=Action.YIELD, reason="the study was paused")
    return last


def _in_turn(db: Database, request: LeaseRequest) -> Sequence[tuple[int, StudySpec]]:
    """Studies to ask for a trial, by id: priority, then fair share by weight, then age."""
    with db.reading() as session:
        fitting = [
            study
            for study in studies.list_open(session)
            if request.study in {None, study.name}
            and fits(rows.spec_of(study).resources, request.capabilities)
        ]
        loads = studies.load(session, [study.id for study in fitting])
    now = db.now()
    ready = [study for study in fitting if may_hand_out(study, loads[study.id], now=now)]
    ready.sort(
        key=lambda study: (-study.priority, loads[study.id].running / study.weight, study.id)
    )
    return [(study.id, rows.spec_of(study)) for study in ready]


def may_hand_out(study: Study, load: studies.Load, *, now: datetime) -> bool:
    """Whether an open study may have a trial to give: one that waits or stands at a rung, or one
    still to be drawn.
    """
    spec = rows.spec_of(study)
    return (
        StudyState(study.state) in studies.OPEN
        and load.running < spec.search.parallel
        and not endings.is_spent(study, spec, now=now)
        and (load.waiting > 0 or load.paused > 0 or endings.may_draw(study, spec))
    )


def fits(resources: Resources, capabilities: Capabilities) -> bool:
    """Whether a worker has what a study asks for."""
    device = capabilities.device
    if resources.gpus > 0 and device.kind == "cpu":
        return False
    if resources.memory_gb is not None and (device.memory_gb or 0) < resources.memory_gb:
        return False
    return resources.labels.items() <= capabilities.labels.items()


def _next_trial(
    session: Session, study: Study, searches: Searches, *, now: datetime
) -> Trial | None:
    """The waiting trial of a locked study that is next, or a new draw, or None."""
    load = studies.load(session, [study.id])[study.id]
    if not may_hand_out(study, load, now=now):
        return None
    if load.waiting:
        return trials.next_waiting(session, study)
    spec = rows.spec_of(study)
    all_drawn = not endings.may_draw(study, spec)
    with searches.of(session, study, spec) as search:
        promoted = search.promotion(closing=all_drawn) if load.paused else None
        if promoted is not None:
            return _go_on(session, study, spec, search, *promoted, now=now)
        if all_drawn:
            return None
        draw = search.draw(study.drawn, latest=load.running == 0)
    config = resolve(
        spec.base, spec.dataset, draw.params, seed=trial_seed(spec.search.seed, study.drawn)
    )
    drawn = trials.Drawn(
        draw.params,
        config.model_dump(mode="json"),
        source=TrialSource.BASE if study.drawn == 0 else draw.source,
        attrs=draw.attrs,
    )
    return trials.add(session, study, drawn, now=now)


def _go_on(  # noqa: PLR0913  # what a decision on a trial needs
    session: Session,
    study: Study,
    spec: StudySpec,
    search: Search,
    number: int,
    reason: str,
    *,
    now: datetime,
) -> Trial:
    """The paused trial of that number, waiting; or the copy of a better one in its place."""
    models = search.models(number)
    if models:
        copy = copies.replace(session, study, spec, (number, reason), models, now=now)
        if copy is not None:
            return copy
        reason += "; it goes on, as none of the best can be copied from here"
    return _promote(session, study, number, reason, now=now)


def _promote(session: Session, study: Study, number: int, reason: str, *, now: datetime) -> Trial:
    """Bring a paused trial back among the waiting ones."""
    trial = trials.find(session, study, number)
    trial.verdict = {}
    trials.move(session, study, trial, TrialState.WAITING, now=now, reason=reason)
    logger.info("trial %s of %s: %s", number, study.name, reason)
    return trial


def trial_seed(study_seed: int, number: int) -> int:
    """The seed that a trial trains with: its own, and the same whenever the study is repeated."""
    return (study_seed * 1_000_003 + number * 7_919 + 1) % 2**31


def _assign(
    session: Session, study: Study, trial: Trial, worker: Worker, *, now: datetime, seconds: float
) -> Assignment:
    if study.state == StudyState.QUEUED:
        studies.move(session, study, StudyState.RUNNING, now=now)
    attempt, token = leases.grant(trial, worker, now=now, seconds=seconds)
    session.add(attempt)
    trials.move(session, study, trial, TrialState.RUNNING, now=now)
    spec = rows.spec_of(study)
    steps = _steps(trial, spec)
    logger.info(
        "trial %s of %s: attempt %s leased to %s",
        trial.number,
        study.name,
        trial.attempts,
        worker.name,
    )
    return Assignment(
        lease=attempt.id,
        token=token,
        study=study.name,
        study_id=study.id,
        trial=trial.number,
        attempt=trial.attempts,
        config=staged(TrialConfig.model_validate(trial.config), spec, steps or trial.epochs),
        metrics=tuple(objective.metric for objective in spec.objectives),
        resume=_resume(session, trial, spec),
        last_step=trial.step,
        steps=steps,
        expires_at=attempt.expires_at,
        lease_seconds=seconds,
    )


def _steps(trial: Trial, spec: StudySpec) -> int | None:
    """The step that the training at hand leads to; None where a step is an epoch."""
    if not is_staged(spec):
        return None
    if trial.source in _WHOLE:
        return trial.epochs
    return target(spec, trial.step, judged_steps(spec))


def _resume(session: Session, trial: Trial, spec: StudySpec) -> ArtifactRef | None:
    """The checkpoint to go on from; none at a rung from which a trial is trained anew."""
    if trial.attempts <= 1 and not trial.step:
        return None
    if is_staged(spec) and trial.source not in _WHOLE and _is_judged(spec, trial.step):
        artifacts.drop(session, artifacts.checkpoints(session, trial.id))
        return None
    checkpoint = artifacts.last_checkpoint(session, trial.id)
    return None if checkpoint is None else rows.artifact_ref(checkpoint)


def _refuse_disorder(trial: Trial, fresh: Sequence[Report]) -> None:
    """Raise unless the reports continue the trial's steps one by one, within its budget."""
    for expected, message in enumerate(fresh, start=trial.step + 1):
        if message.step > trial.epochs:
            beyond = f"step {message.step} lies beyond the {trial.epochs} epochs of the trial"
            raise InvalidSpec([Problem(("reports", "step"), beyond)])
        if message.step != expected:
            raise Conflict(
                f"step {message.step} of trial {trial.number} came before step {expected}; "
                "send reports in order"
            )


def _store(  # a use case names all that it needs
    session: Session,
    held: Held,
    spec: StudySpec,
    message: Report,
    *,
    now: datetime,
    searches: Searches,
) -> None:
    """Store the next step of a trial, and judge it if nothing was decided yet."""
    _, trial, study = held
    message = rankings.named_metrics(spec, message)
    value = message.metrics.get(spec.objective.metric)
    reports.add(session, trial, message, value=value, now=now)
    if value is not None and (
        trial.best_value is None or spec.objective.is_better(value, trial.best_value)
    ):
        trial.best_value = value
    study.epochs += 1
    study.seconds += message.seconds
    told = events.append(
        session,
        study,
        "trial.reported",
        now=now,
        trial=trial.number,
        step=message.step,
        value=value,
    )
    if trial.source != TrialSource.CONFIRM and _is_judged(spec, trial.step):
        trial.revision = told  # searches take the trial in again
        _judge(session, held, spec, searches, now=now)


def _is_judged(spec: StudySpec, step: int) -> bool:
    steps = judged_steps(spec)
    return steps is None or step in steps


def _judge(
    session: Session, held: Held, spec: StudySpec, searches: Searches, *, now: datetime
) -> None:
    _, trial, study = held
    # The base recipe is trained to its end, so that no study reports worse than the textbook.
    if trial.source == TrialSource.BASE or rows.verdict_of(trial).action is not Action.CONTINUE:
        return
    with searches.of(session, study, spec) as search:
        warnings = search.warnings()
        verdict = search.judge(trial.number, trial.step, closing=not endings.may_draw(study, spec))
    studies.warn(session, study, warnings, now=now)
    trial.verdict = verdict.model_dump(mode="json")
    if verdict.action is not Action.CONTINUE:
        logger.info("trial %s of %s: %s", trial.number, study.name, verdict.reason)
