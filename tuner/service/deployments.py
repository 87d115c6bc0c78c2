"""Trials of a study that says where its models are to run: measured once, judged before training.

The caller holds the study's row lock. A worker whose device is of the deployment's class measures
the networks that nobody has measured yet; any worker that meets the study's demands trains those
that are.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from tuner.configs import packages
from tuner.configs.architecture import signature
from tuner.errors import InvalidInput, Problem, Unreadable
from tuner.search.rules import Rules
from tuner.service import demands, documents, lifecycle, views
from tuner.spec.deployment import Deployment, Measured
from tuner.spec.messages import Action, Capabilities, Report, Verdict
from tuner.spec.metrics import MEASURED
from tuner.spec.study import Constraint, StudySpec
from tuner.store import measurements, studies, trials
from tuner.store.held import HeldTrial
from tuner.store.leases import Held
from tuner.store.tables import Study, Trial, Worker
from tuner.wording import number, quantity

logger = logging.getLogger(__name__)
_LOOKED_AT = 16  # waiting trials: of more, the rest has its turn when these are gone
_LONG_RUN = 10  # draws that break a bound, one after the other, before the owner is told
_GROUP = "deployment"  # of the study's warnings


class WorkerRole(NamedTuple):
    """What a worker may do for a study: train what is measured, measure what is not."""

    trains: bool
    measures: bool

    def suits(self, trial: Trial) -> bool:
        """Whether a waiting trial is for such a worker."""
        return self.trains if is_measured(trial.metrics) else self.measures


def role_of(spec: StudySpec, capabilities: Capabilities) -> WorkerRole:
    """What a worker may do for a study; one without a deployment has nothing to measure."""
    if not demands.has_packages(packages.of_study(spec), capabilities):
        return WorkerRole(trains=False, measures=False)
    trains = demands.fits(spec.resources, capabilities)
    deployment = spec.deployment
    return WorkerRole(
        trains, trains if deployment is None else demands.measures(deployment, capabilities)
    )


def is_measured(metrics: Mapping[str, float]) -> bool:
    """Whether a trial has all that is measured of a network."""
    return metrics.keys() >= MEASURED.keys()


def to_measure(spec: StudySpec, trial: Trial) -> Deployment | None:
    """Where a trial's network is to be measured; None where there is nothing to measure."""
    return None if is_measured(trial.metrics) else spec.deployed


def next_waiting(
    session: Session, study: Study, rules: Rules, role: WorkerRole, *, now: datetime
) -> Trial | None:
    """The waiting trial that such a worker takes next, or one that breaks a bound, ended."""
    for trial in trials.list_waiting(session, study, limit=_LOOKED_AT):
        if not apply_known(session, study, rules, trial, now=now) or role.suits(trial):
            return trial
    return None


def comes_first(session: Session, study: Study, spec: StudySpec, role: WorkerRole) -> bool:
    """Whether such a worker gets a waiting trial, or none, before one is drawn for it."""
    if spec.deployment is None or not role.trains:
        return True
    waiting = trials.list_waiting(session, study, limit=_LOOKED_AT)
    return len(waiting) >= most_unmeasured(spec) or any(role.suits(each) for each in waiting)


def most_unmeasured(spec: StudySpec) -> int:
    """How many trials may wait to be measured while more are drawn for workers of another class.

    It is at most what `next_waiting` looks at, so that a trial which was measured is found.
    """
    return min(spec.search.parallel, _LOOKED_AT)


def apply_known(
    session: Session, study: Study, rules: Rules, trial: Trial, *, now: datetime
) -> bool:
    """Give a waiting trial what is known of its network; False where that has ended it."""
    deployed = rules.spec.deployed
    if deployed is None or is_measured(trial.metrics):
        return True
    try:
        config = documents.config_of(trial)
    except Unreadable:
        return True  # whoever is given it says so
    known = measurements.find(session, signature(config), deployed.key)
    if known is None:
        return True
    trials.take_measurements(trial, known)
    reason = broken(rules.spec, known)
    if reason is None:
        _note_end_of_run(session, study, now=now)
        return True
    lifecycle.end_infeasible(session, study, rules, trial, reason, now=now)
    _note_run(session, study, reason, now=now)
    return False


def take_in(session: Session, held: Held, measured: Measured, *, now: datetime) -> None:
    """Write down what a trial's network costs, and what follows; said again, nothing does.

    Raises:
        InvalidInput: the study does not say where its models are to run.
    """
    attempt, trial, study = held
    spec = documents.spec_of(study)
    deployed = spec.deployed
    if deployed is None:
        message = f"study '{study.name}' has no deployment, so that nothing is measured for it"
        raise InvalidInput([Problem(("measurements",), message)])
    if is_measured(trial.metrics):
        return
    config = documents.config_of(trials.find(session, study, trial.number))
    counted = measurements.keep(session, signature(config), deployed.key, measured, now=now)
    trials.take_measurements(trial, counted)
    reason = broken(spec, counted)
    if reason is not None:
        trials.mark_infeasible(trial, Verdict(action=Action.PRUNE, reason=reason))
        logger.info(
            "trial %s of %s is not trained: %s",
            trial.number,
            study.name,
            reason,
            extra={"study": study.name, "trial": trial.number},
        )
        return
    _note_end_of_run(session, study, now=now)
    worker = session.get_one(Worker, attempt.worker_id)
    capabilities = views.capabilities_of(worker.name, worker.capabilities)
    if not role_of(spec, capabilities).trains:
        done = "its network is measured; a worker that the study asks for trains it"
        trials.set_verdict(trial, Verdict(action=Action.YIELD, reason=done))


def broken(spec: StudySpec, metrics: Mapping[str, float]) -> str | None:
    """Which bound a network breaks whatever it learns, in words; None where it keeps them all."""
    for constraint in spec.measured_constraints:
        value = metrics.get(constraint.metric)
        if value is not None and constraint.violation(value) > 0:
            return f"{_excess(constraint, value)} ({spec.deployed}), so that it is not trained"
    return None


def joined(trial: HeldTrial, message: Report) -> Report:
    """The report with what the trial's network costs, which is the same at every step."""
    known = {name: trial.metrics[name] for name in MEASURED if name in trial.metrics}
    return message.model_copy(update={"metrics": {**message.metrics, **known}})


def _excess(constraint: Constraint, value: float) -> str:
    is_above = constraint.max is not None and value > constraint.max
    bound = constraint.max if is_above else constraint.min
    side = "above the max" if is_above else "below the min"
    unit = MEASURED[constraint.metric]
    measured = f"{number(value)} {unit}".rstrip()
    return f"{constraint.metric} is {measured}, {side} of {number(bound)}"


def _note_run(session: Session, study: Study, reason: str, *, now: datetime) -> None:
    """Tell the owner of a study where one draw after the other breaks a bound."""
    run = study.trial_count - 1 - trials.last_trainable(session, study)
    if run >= _LONG_RUN:
        text = (
            f"the last {quantity(run, 'trial')} broke a bound before they were trained, the "
            f"last one because {reason}; widen the bound, or search smaller networks"
        )
        studies.warn(session, study, {f"{_GROUP} bounds": text}, now=now, group=_GROUP)


def _note_end_of_run(session: Session, study: Study, *, now: datetime) -> None:
    if f"{_GROUP} bounds" in studies.warnings_of(study):
        studies.warn(session, study, {}, now=now, group=_GROUP)
