"""Attempts ended by their worker's surroundings: which worker may try next, and warnings.

The caller holds the study's row lock; what follows from what is decided in `faults`.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from tuner.configs import packages
from tuner.service import demands, faults, views
from tuner.service.faults import CONTENT, Fault, Ruling
from tuner.spec.messages import Outcome, OutcomeKind
from tuner.spec.study import StudySpec
from tuner.store import leases, studies, workers
from tuner.store.leases import Held
from tuner.store.tables import Study, Worker

logger = logging.getLogger(__name__)
LIVING = timedelta(seconds=120)
_GROUP = "worker"  # of the study's warnings
_NO_EVIDENCE = {OutcomeKind.LOST, OutcomeKind.CRASHED, OutcomeKind.HUNG}


def fault_of(
    session: Session, held: Held, spec: StudySpec, outcome: Outcome, *, now: datetime
) -> Fault | None:
    """Why an attempt that has just ended gave its trial back, noted with its worker and its study.

    None where the surroundings had no part in its end; then its worker has recovered, if the
    trial was trained.
    """
    attempt, trial, study = held
    kind = _kind(session, held, outcome)
    if kind is None:
        if trial.step or outcome.kind is not OutcomeKind.YIELDED:
            trained(session, held, outcome=outcome, now=now)
        return None
    worker = session.get_one(Worker, attempt.worker_id)
    error = faults.first_line(outcome.error)
    known = faults.read(worker.unfit, now=now)
    known = faults.noted(known, kind, error, study_id=study.id, study=study.name, now=now)
    workers.set_unfit(session, worker, faults.written(known))
    agreeing, others = _fleet(session, study, spec, worker, kind, now=now)
    tries = leases.count_returns(session, trial, worker.id)
    ruling = faults.decide(
        kind,
        agreeing=len(agreeing),
        others=others,
        trained=study.epochs > 0,
        tries=tries,
    )
    names = [each.name for each in agreeing]
    if ruling is Ruling.FAIL_STUDY:
        for each in agreeing:  # they are as fit as ever
            _recover(session, each, study)
    text = faults.warning(worker.name, error, others=others)
    _warn(session, study, {f"{_GROUP} {worker.name}": text}, now=now)
    logger.warning(
        "trial %s of %s: %s",
        trial.number,
        study.name,
        text,
        extra={"study": study.name, "trial": trial.number},
    )
    reason = faults.reason(ruling, worker.name, error, workers=names, tries=tries)
    return Fault(kind, ruling, reason)


def trained(session: Session, held: Held, *, now: datetime, outcome: Outcome | None = None) -> None:
    """Note that a worker has trained a trial of the study: what kept it from it is over."""
    attempt, _, study = held
    if outcome is not None and outcome.kind in _NO_EVIDENCE:
        return
    if not workers.may_be_unfit(session, attempt.id) and not is_warned(study):
        return
    worker = session.get_one(Worker, attempt.worker_id)
    if worker.unfit:
        _recover(session, worker, study)
    about = f"{_GROUP} {worker.name}"
    if about in studies.warnings_of(study):
        _warn(session, study, {about: None}, now=now)
        logger.info(
            "worker %s trains %s again",
            worker.name,
            study.name,
            extra={"study": study.name, "worker": worker.name},
        )


def _recover(session: Session, worker: Worker, study: Study) -> None:
    """Note that nothing keeps a worker from training the study any more."""
    known = faults.recovered(faults.read(worker.unfit), study.id)
    workers.set_unfit(session, worker, faults.written(known))


def is_warned(study: Study) -> bool:
    """Whether the study has a warning of a worker that could not train it."""
    return any(about.startswith(f"{_GROUP} ") for about in studies.warnings_of(study))


def _kind(session: Session, held: Held, outcome: Outcome) -> str | None:
    """What of the worker's surroundings ended the attempt.

    Files that this worker found broken, and another one has trained with, are broken here alone.
    """
    if outcome.unfitness is not None:
        return outcome.unfitness
    if outcome.kind is OutcomeKind.FAILED and outcome.error_kind == CONTENT:
        attempt, _, study = held
        return CONTENT if leases.trained_elsewhere(session, study.id, attempt.worker_id) else None
    return None


def _fleet(
    session: Session, study: Study, spec: StudySpec, worker: Worker, kind: str, *, now: datetime
) -> tuple[list[Worker], bool]:
    """The living workers that say the same of the study, and whether another one could train it."""
    agreeing, others = [worker], False
    for each in workers.living(session, since=now - LIVING):
        known = faults.read(each.unfit, now=now)
        if each.id == worker.id:
            continue
        if faults.agrees(known, study.id, kind):
            agreeing.append(each)
        elif not others and not each.drained_at and not faults.bars(known, study.id, now=now):
            others = demands.fits(
                spec.resources,
                views.capabilities_of(each.name, each.capabilities),
                packages.of_study(spec),
            )
    return agreeing, others


def _warn(session: Session, study: Study, changes: dict[str, str | None], *, now: datetime) -> None:
    known = studies.warnings_of(study)
    about = {key: text for key, text in known.items() if key.startswith(f"{_GROUP} ")}
    wanted = {key: text for key, text in {**about, **changes}.items() if text is not None}
    studies.warn(session, study, wanted, now=now, group=_GROUP)
