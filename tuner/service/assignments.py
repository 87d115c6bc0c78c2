"""Give a worker a trial: the study is chosen, its row locked, params drawn, a lease granted."""

import logging
from datetime import datetime
from functools import partial
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.configs.seeds import trial_config
from tuner.errors import NewerDocument, NotFound, StorageError, Unreadable
from tuner.search.fidelity import WHOLE, began, staged, target
from tuner.search.rules import Rules
from tuner.service import (
    budget,
    copies,
    deployments,
    documents,
    faults,
    lifecycle,
    prefetch,
    views,
)
from tuner.service.deployments import WorkerRole, role_of
from tuner.service.isolation import set_aside
from tuner.service.scheduling import Turn, in_turn, may_hand_out
from tuner.service.searches import Search, Searches
from tuner.spec.config import TrialConfig
from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import ArtifactRef, Assignment, BestStep, Capabilities, LeaseRequest
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.stored import dump_config
from tuner.store import artifacts, hot, leases, studies, trials, workers
from tuner.store.engine import Database
from tuner.store.group import Job, Need
from tuner.store.leases import Granted
from tuner.store.tables import Study, Trial

logger = logging.getLogger(__name__)
_MOST_DRAWS = 16  # for one request, of networks that are known to break a bound: then others ask


def take(
    db: Database, request: LeaseRequest, *, lease_seconds: float, searches: Searches
) -> Assignment | None:
    """What `answer` gives, without the reason for giving none."""
    return answer(db, request, lease_seconds=lease_seconds, searches=searches).assignment


class LeaseAnswer(NamedTuple):
    """A trial, or that there is none, and whether that is because the worker is drained."""

    assignment: Assignment | None
    is_drained: bool = False


def answer(
    db: Database, request: LeaseRequest, *, lease_seconds: float, searches: Searches
) -> LeaseAnswer:
    """Give the worker a trial: the study is chosen, its row locked, params drawn, a lease granted.

    A study that was deleted meanwhile is passed over; one that cannot be read, or whose draw
    fails, is failed with its reason, and the next one is asked.
    None when no open study has a trial that this worker may train now, when it says that it is
    unfit to train any, or when a user has drained it.

    Raises:
        StorageError: the database did not do its part for some study, and no other had a trial.
    """
    turn = in_turn(db, request) if request.unfit is None else Turn((), {})
    for study_id, error in turn.damaged.items():
        set_aside(db, study_id, error)
    refused: StorageError | None = None
    for study_id, rules in turn.ready:
        # One study at a time: two rows locked in two orders would be a deadlock.
        try:
            assignment = _take_from(db, request, study_id, rules, lease_seconds, searches)
        except StorageError as error:
            logger.warning("no trial could be taken of study %s: %s", study_id, error)
            refused = refused or error
            continue
        except NewerDocument as error:
            logger.warning("study %s is passed over: %s", study_id, error)
            continue
        except Exception as error:  # of a sampler, say: other studies are none the worse for it
            set_aside(db, study_id, error, "the next trial could not be drawn")
            continue
        if assignment is not None:
            prefetch.order(db, searches, study_id, rules)
            return LeaseAnswer(assignment)
    if refused is not None:
        raise refused
    with db.transaction() as session:
        _note(session, request, now=db.now())
    return LeaseAnswer(None, turn.is_drained)


def _take_from(
    db: Database,
    request: LeaseRequest,
    study_id: int,
    rules: Rules,
    lease_seconds: float,
    searches: Searches,
) -> Assignment | None:
    """A trial of that study, in a transaction that others may share; None if it has none.

    A draw whose network is known to break a bound is a transaction of its own, so that nobody
    waits long for the study; after some of them other studies are asked.
    """

    role = role_of(rules.spec, request.capabilities)

    def grant(session: Session) -> _Taken:
        study = studies.lock(session, study_id)
        now = db.moment(session)
        found = _next_readable(session, study, searches, role, now=now)
        if found is None:
            return _Taken(None)
        trial, config, since = found
        if TrialState(trial.state).has_ended:
            return _Taken(None, has_ended=True)
        worker_id = _note(session, request, now=now)
        lease = leases.grant(session, trial, worker_id, now=now, seconds=lease_seconds)
        _log_lease(study.name, trial.number, trial.attempts, request.worker)
        offered = _Offer(lease, request.capabilities, lease_seconds)
        assignment = _assign(session, study, trial, config, offered, now=now)
        searches.took(session, study, trial, since=since)
        return _Taken(assignment)

    try:
        for _ in range(_MOST_DRAWS):
            with prefetch.ready(db, searches, study_id, rules, role):
                need = Need(
                    study_id,
                    worker=request.worker,
                    is_late=True,
                    since=searches.since(study_id, rules),
                    look=partial(studies.lock, study=study_id),
                )
                taken = db.together(Job(need, grant))
            if not taken.has_ended:
                return taken.assignment
    except NotFound:
        with db.reading() as session:
            if studies.exists(session, study_id):
                raise
    return None  # it was deleted since the list of studies was read, or draws only what is too slow


class _Taken(NamedTuple):
    """What a request got of a study; or that the draw has ended already, so that it asks again."""

    assignment: Assignment | None
    has_ended: bool = False


def _log_lease(study: str, trial: int, attempt: int, worker: str) -> None:
    ids = {"study": study, "trial": trial, "attempt": attempt, "worker": worker}
    text = "trial %(trial)s of %(study)s: attempt %(attempt)s leased to %(worker)s"
    logger.info(text, ids, extra=ids)


def _note(session: Session, request: LeaseRequest, *, now: datetime) -> int:
    """Note that the worker is alive, and what it says of itself; gives its id."""
    capabilities = request.capabilities.model_dump(mode="json")
    worker = workers.seen(session, request.worker, capabilities, now=now)
    if worker.unfit or request.unfit is not None:
        known = faults.asked(faults.read(worker.unfit, now=now), request.unfit, now=now)
        workers.set_unfit(session, worker, faults.written(known))
    return worker.id


def _next_readable(
    session: Session, study: Study, searches: Searches, role: WorkerRole, *, now: datetime
) -> tuple[Trial, TrialConfig, int] | None:
    """The trial that is next, with its config and the last event before it was chosen.

    Those whose config cannot be read are failed.
    """
    since = study.event_seq
    while (trial := _next_trial(session, study, searches, role, now=now)) is not None:
        try:
            return trial, documents.config_of(trial), since
        except NewerDocument:
            raise
        except Unreadable as error:
            rules = documents.rules_of(study)
            lifecycle.fail_trial(session, study, rules, trial, str(error), now=now)
            hot.write(session)
            since = study.event_seq
    return None


def _next_trial(
    session: Session, study: Study, searches: Searches, role: WorkerRole, *, now: datetime
) -> Trial | None:
    """The waiting trial of a locked study that is next, or a new draw, or None.

    The trial has ended where its network is known to break a bound. What nobody has measured is
    left for another worker where this one cannot, which then gets a promotion or a draw.
    """
    load = studies.load_of(session, study)
    if not may_hand_out(study, load, now=now):
        return None
    rules = documents.rules_of(study)
    if rules.draws_ahead:
        searches.turn(study.id).note_workers(load.running + 1)
    if load.waiting:
        if rules.spec.deployment is None:
            waiting = trials.next_waiting(session, study)
        else:
            waiting = deployments.next_waiting(session, study, rules, role, now=now)
        if waiting is not None or not role.trains:
            return waiting
    spec, all_drawn = rules.spec, not budget.may_draw(study, rules)
    with searches.of(session, study, rules, may_lag=True) as search:
        may_go_on = load.paused and role.trains  # what is at a rung was measured before
        is_closing = all_drawn and not load.waiting
        promoted = search.promotion(closing=is_closing) if may_go_on else None
        if promoted is not None:
            return _go_on(session, study, rules, search, promoted, now=now)
        if all_drawn or load.waiting >= deployments.most_unmeasured(spec):
            return None
        draw = search.draw(study.trial_count, latest=load.running == 0)
    config = trial_config(spec, draw.params, study.trial_count)
    new = trials.NewTrial(
        draw.params,
        dump_config(config),
        source=TrialSource.BASE if study.trial_count == 0 else draw.source,
        attrs=draw.attrs,
    )
    trial = trials.add(session, study, new, now=now)
    is_open = deployments.apply_known(session, study, rules, trial, now=now)
    return trial if role.suits(trial) or not is_open else None


def _go_on(
    session: Session,
    study: Study,
    rules: Rules,
    search: Search,
    promoted: tuple[int, str],
    *,
    now: datetime,
) -> Trial:
    """The paused trial that is promoted, waiting; or the copy of a better one in its place."""
    number, reason = promoted
    hot.forget_history(session, study)  # the next draw must see what changes here
    if donors := search.donors(number):
        copy = copies.replace(session, study, rules, promoted, donors, now=now)
        if copy is not None:
            return copy
        reason = f"{reason}; it goes on, as none of the best can be copied from here"
    trial = trials.find(session, study, number)
    trials.move(session, study, trial, TrialState.WAITING, now=now, reason=reason)
    logger.info(
        "trial %s of %s: %s",
        number,
        study.name,
        reason,
        extra={"study": study.name, "trial": number},
    )
    return trial


class _Offer(NamedTuple):
    """A new lease, what its worker can do, and how long it holds without a word."""

    lease: Granted
    capabilities: Capabilities
    seconds: float


def _assign(
    session: Session,
    study: Study,
    trial: Trial,
    config: TrialConfig,
    offer: _Offer,
    *,
    now: datetime,
) -> Assignment:
    if study.state == StudyState.QUEUED:
        studies.move(session, study, StudyState.RUNNING, now=now)
    rules = documents.rules_of(study)
    steps, resume = _steps(trial, rules), _resume(session, trial, rules)
    is_new = resume is None and not trial.step
    threads = _threads(config, offer.capabilities) if is_new else trial.threads
    trials.begin(session, study, trial, threads=threads, now=now)
    return Assignment(
        lease=offer.lease.id,
        token=offer.lease.token,
        study=study.name,
        study_id=study.id,
        trial=trial.number,
        attempt=trial.attempts,
        config=staged(config, rules, steps or trial.epochs),
        metrics=tuple(objective.metric for objective in rules.spec.objectives),
        resume=resume,
        last_step=trial.step,
        best=_best_step(trial, rules),
        data_version=trial.data_version,
        threads=trial.threads,
        steps=steps,
        measure=deployments.to_measure(rules.spec, trial),
        gpus=max(1, rules.spec.resources.gpus),
        examples=rules.spec.examples,
        expires_at=offer.lease.expires_at,
        lease_seconds=offer.seconds,
    )


def _steps(trial: Trial, rules: Rules) -> int | None:
    """The step that the training at hand leads to; None where a step is an epoch."""
    if not rules.is_staged:
        return None
    if trial.source in WHOLE:
        return trial.epochs
    return target(rules, trial.step)


def _best_step(trial: Trial, rules: Rules) -> BestStep | None:
    """The best step so far of the training that goes on, if the best is what counts."""
    if not rules.spec.objective.counts_best or trial.value is None:
        return None
    step = trial.value_step or trial.step
    if step <= began(rules, trial.source, trial.step + 1):
        return None  # its weights are gone
    return BestStep(step=step, value=trial.value)


def _threads(config: TrialConfig, offered: Capabilities) -> int | None:
    """The threads that a trial keeps on any worker: on a CPU sums differ with their number."""
    is_exact = config.training.determinism == "exact"
    return offered.cpus if is_exact and offered.device.kind == DeviceKind.CPU else None


def _resume(session: Session, trial: Trial, rules: Rules) -> ArtifactRef | None:
    """The checkpoint to go on from; none at a rung from which a trial is trained anew."""
    if trial.attempts <= 1 and not trial.step:
        return None
    is_part = rules.is_staged and trial.source not in WHOLE
    if is_part and rules.is_judged(trial.step):
        artifacts.drop(session, artifacts.checkpoints(session, trial.id))
        return None
    checkpoint = artifacts.last_checkpoint(session, trial.id)
    return None if checkpoint is None else views.artifact_ref(checkpoint)
