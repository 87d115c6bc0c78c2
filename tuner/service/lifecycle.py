"""How attempts, trials and studies end; the caller holds the study's row lock."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.search.analysis import is_feasible
from tuner.search.judge import promotion
from tuner.search.rules import Rules
from tuner.service import (
    alike,
    budget,
    confirmations,
    documents,
    searches,
    surroundings,
    versions,
)
from tuner.service.faults import Fault, Ruling
from tuner.service.objectives import undefined_reason
from tuner.spec.failures import gist
from tuner.spec.kinds import ErrorKind
from tuner.spec.messages import Action, Outcome, OutcomeKind, Report, Verdict
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import StudySpec
from tuner.store import failures, hot, leases, studies, trials
from tuner.store.held import HeldTrial
from tuner.store.leases import Held
from tuner.store.tables import Study, Trial
from tuner.wording import listed, quantity

logger = logging.getLogger(__name__)
_RESULTS = frozenset({TrialState.COMPLETED, TrialState.PRUNED, TrialState.PAUSED})
_REMEDY = "correct the study and submit it anew"
_LOOKED_AT = 30  # of a study's first failures


def end_attempt(session: Session, held: Held, outcome: Outcome, *, now: datetime) -> None:
    """Close the lease, bring the trial where the outcome puts it, and may end the study."""
    attempt, trial, study = held
    rules = documents.rules_of(study)
    spec = rules.spec
    leases.end(attempt, outcome, now=now)
    trials.take_outcome(trial, outcome)
    versions.note_outcome(session, study, rules, trial, outcome, now=now)
    fault = surroundings.fault_of(session, held, spec, outcome, now=now)
    if fault is not None:
        outcome = outcome.model_copy(update={"kind": OutcomeKind.YIELDED})
    state, reason = _destination(session, held, spec, outcome, fault, now=now)
    leases.note_reason(attempt, reason)
    if outcome.kind is OutcomeKind.OUTDATED and state is TrialState.WAITING:
        versions.begin_anew(session, study, trial, now=now)
    if state is TrialState.COMPLETED:
        versions.note_completed(session, study, trial, now=now)
        _compare_epochs(study, trial, outcome)
        feasible = is_feasible(spec.constraints, trial.metrics)
        trials.complete(session, study, trial, feasible=feasible, now=now, reason=reason)
    else:
        trials.move(session, study, trial, state, now=now, reason=reason)
    logger.info(
        "trial %s of %s: %s %s",
        trial.number,
        study.name,
        state,
        reason,
        extra={"study": study.name, "trial": trial.number, "attempt": trial.attempts},
    )
    if state is TrialState.FAILED and fault is not None and fault.ruling is Ruling.FAIL_STUDY:
        fail(session, study, fault.reason, now=now)
    close_if_done(session, study, rules, now=now, has_failed=state is TrialState.FAILED)


def _compare_epochs(study: Study, trial: HeldTrial, outcome: Outcome) -> None:
    """Warn where a trial's model is not of the epoch that its value is of."""
    epoch = outcome.provenance.get("model_epoch")
    if epoch is not None and epoch != trial.value_step:
        logger.warning(
            "trial %s of %s counts at epoch %s, and its model is of epoch %s",
            trial.number,
            study.name,
            trial.value_step,
            epoch,
            extra={"study": study.name, "trial": trial.number, "attempt": trial.attempts},
        )


def _destination(
    session: Session,
    held: Held,
    spec: StudySpec,
    outcome: Outcome,
    fault: Fault | None,
    *,
    now: datetime,
) -> tuple[TrialState, str]:
    """The state that an outcome leads to, and why: the first rule that holds, from the top."""
    _, trial, study = held
    kind, verdict = outcome.kind, trials.verdict_of(trial)
    failure = f"{outcome.error_kind or ErrorKind.EXCEPTION}: {gist(outcome.error or '')}".rstrip(
        ": "
    )
    study_gone = study.state in {StudyState.CANCELLED, StudyState.FAILED}
    pruned = kind is OutcomeKind.PRUNED or verdict.action is Action.PRUNE
    at_rung = verdict.action is Action.PAUSE
    rules = (
        (kind is OutcomeKind.COMPLETED, TrialState.COMPLETED, ""),
        (kind is OutcomeKind.FAILED, TrialState.FAILED, failure),
        (study_gone, TrialState.CANCELLED, _over(study)),
        (verdict.action is Action.STOP, TrialState.CANCELLED, verdict.reason),  # by a user
        (pruned, TrialState.PRUNED, verdict.reason),
        (kind is OutcomeKind.STOPPED, TrialState.PRUNED, _stopped_reason(study, spec, now)),
        # Lost on the way back from a rung it is as paused as if its worker had said so.
        (kind is OutcomeKind.PAUSED or at_rung, TrialState.PAUSED, verdict.reason),
    )
    for holds, state, reason in rules:
        if holds:
            return state, reason
    if fault is not None:
        waits = fault.ruling is Ruling.WAIT
        return TrialState.WAITING if waits else TrialState.FAILED, fault.reason
    return _given_back(session, trial, spec, outcome)


def _over(study: Study) -> str:
    """Why nothing of an ended study goes on."""
    return (
        "the study failed" if study.state == StudyState.FAILED else f"the study was {study.state}"
    )


def _given_back(
    session: Session, trial: HeldTrial, spec: StudySpec, outcome: Outcome
) -> tuple[TrialState, str]:
    if outcome.kind is OutcomeKind.OUTDATED:
        return TrialState.WAITING, "the data changed since its first epochs; it begins anew"
    losses = leases.count_losses(session, trial)
    if losses >= spec.resources.attempts:
        lost = _lost(losses, leases.who_lost(session, trial))
        said = f": {gist(outcome.error)}" if outcome.error else ""
        return TrialState.FAILED, f"{lost} the last one {outcome.kind}{said}"
    verdict = trials.verdict_of(trial)
    if outcome.kind is OutcomeKind.YIELDED and verdict.action is Action.YIELD:
        return TrialState.WAITING, verdict.reason
    return TrialState.WAITING, f"attempt {trial.attempts} {outcome.kind}"


def _lost(losses: int, workers: Sequence[str]) -> str:
    """How many attempts were lost and where; a trial that more than one worker lost is named."""
    lost = f"{quantity(losses, 'attempt')} {'was' if losses == 1 else 'were'} lost on"
    takes = ": it takes down every worker that trains it;" if len(workers) > 1 else ","
    return f"{lost} {listed(workers)}{takes}"


def close_if_done(
    session: Session, study: Study, rules: Rules, *, now: datetime, has_failed: bool = False
) -> None:
    """End a locked study whose budget is spent, or whose trials cannot succeed.

    A search that has come to its end is confirmed first, if the study asks for it.
    `has_failed` says that a trial failed just now: only then can they have failed too often.
    """
    if StudyState(study.state).has_ended:
        return
    spec, all_drawn = rules.spec, not budget.may_draw(study, rules)
    spent = budget.spent_reason(study, spec, now=now)
    if not (spent or all_drawn or has_failed):
        return  # the common case, known without counting
    hot.write(session)
    counts = studies.count_trials(session, [study.id])[study.id]
    failed, running = counts.get(TrialState.FAILED, 0), counts.get(TrialState.RUNNING, 0)
    if failed >= spec.search.max_failures and failed == sum(counts.values()) - running:
        fail(session, study, _first_failures(session, study, failed), now=now)
    elif not running and (spent or not _goes_on(session, study, rules, counts)):
        _conclude(session, study, spec, counts, spent, now=now)
    elif has_failed and failed >= alike.ENOUGH and not _RESULTS & counts.keys():
        _fail_if_alike(session, study, spec, failed, now=now)


def _fail_if_alike(
    session: Session, study: Study, spec: StudySpec, failed: int, *, now: datetime
) -> None:
    """End a study without any result whose next trials would fail as its first ones did."""
    first = [
        alike.FailedTrial(number, kind or "", error or reason, step, params)
        for number, kind, error, reason, step, params in failures.earliest(
            session, study.id, _LOOKED_AT
        )
    ]
    found = alike.alike(first, spec, furthest=failures.furthest(session, study.id))
    if found:
        fail(session, study, alike.reason(found, failed), now=now)


def _conclude(
    session: Session,
    study: Study,
    spec: StudySpec,
    counts: Mapping[TrialState, int],
    spent: str,
    *,
    now: datetime,
) -> None:
    """End a study of which nothing runs: confirm its leaders first, or fail it if all failed."""
    failed = counts.get(TrialState.FAILED, 0)
    if failed and not _RESULTS & counts.keys():
        fail(session, study, _all_failed(session, study, failed, spent), now=now)
        return
    reason = spent + _undone(session, study, spec) if spent else ""
    _end_rest(session, study, TrialState.PRUNED, reason or "the search ended", now=now)
    if not spent and confirmations.create(session, study, spec, now=now):
        return  # it ends with the last of them
    if study.state == StudyState.QUEUED:
        studies.move(session, study, StudyState.RUNNING, now=now)
    studies.move(session, study, StudyState.FINISHED, now=now, reason=reason)


def fail(session: Session, study: Study, reason: str, *, now: datetime) -> None:
    """End a locked study that cannot succeed: what runs is told to stop, the rest is cancelled."""
    studies.move(session, study, StudyState.FAILED, now=now, reason=reason)
    _end_rest(session, study, TrialState.CANCELLED, "the study failed", now=now)
    logger.warning(
        "study %s (id %s) failed: %s", study.name, study.id, reason, extra={"study": study.name}
    )


def fail_if_undefined(
    session: Session, study: Study, spec: StudySpec, message: Report, *, now: datetime
) -> None:
    """End a locked study whose data or workers cannot give a metric that it needs.

    Not for one trial's sake: where another had a value, it is that trial's worker that differs.
    """
    found = undefined_reason(spec, message)
    if found is None or StudyState(study.state).has_ended:
        return
    hot.write(session)
    if not failures.some_value(session, study.id, found.metric):
        fail(session, study, found.reason, now=now)


def abandon(session: Session, held: Held, reason: str, *, now: datetime) -> None:
    """End a lost lease, its trial and its study, of which no rule can be asked any more."""
    attempt, trial, study = held
    leases.end(attempt, Outcome(kind=OutcomeKind.LOST), now=now)
    hot.write(session)
    if not StudyState(study.state).has_ended:
        fail(session, study, reason, now=now)
    trials.move(session, study, trial, TrialState.CANCELLED, now=now, reason=_over(study))


def fail_trial(
    session: Session,
    study: Study,
    rules: Rules,
    trial: Trial | HeldTrial,
    reason: str,
    *,
    now: datetime,
) -> None:
    """End a waiting trial that cannot be trained, and with it perhaps the study."""
    trials.move(session, study, trial, TrialState.FAILED, now=now, reason=reason)
    logger.warning(
        "trial %s of %s failed: %s",
        trial.number,
        study.name,
        reason,
        extra={"study": study.name, "trial": trial.number},
    )
    close_if_done(session, study, rules, now=now, has_failed=True)


def end_infeasible(
    session: Session, study: Study, rules: Rules, trial: Trial, reason: str, *, now: datetime
) -> None:
    """End a waiting trial whose network is known to break a bound, and with it perhaps the study.

    What the search draws next must have seen it.
    """
    hot.forget_history(session, study)
    trials.mark_infeasible(trial, Verdict(action=Action.PRUNE, reason=reason))
    trials.move(session, study, trial, TrialState.PRUNED, now=now, reason=reason)
    logger.info(
        "trial %s of %s is not trained: %s",
        trial.number,
        study.name,
        reason,
        extra={"study": study.name, "trial": trial.number},
    )
    close_if_done(session, study, rules, now=now)


def _first_failures(session: Session, study: Study, failed: int) -> str:
    many = f"first {quantity(failed, 'trial')}" if failed > 1 else "first trial"
    return f"the {many} failed{_failures(session, study)}; {_REMEDY}"


def _all_failed(session: Session, study: Study, failed: int, spent: str) -> str:
    every = "its only trial failed" if failed == 1 else f"all {quantity(failed, 'trial')} failed"
    ended = f"{spent}, and " if spent else ""
    return f"{ended}{every}{_failures(session, study)}; {_REMEDY}"


def _failures(session: Session, study: Study) -> str:
    """What the first of a study's failed trials said, and which failed in other ways."""
    hot.write(session)
    first = failures.first(session, study.id)
    if first is None:
        return ": no error was reported"
    said = f"trial {first.number}{_in_brackets(first.error_kind)}: " + gist(
        first.error or first.reason
    ).rstrip(".")
    kinds = failures.kinds(session, study.id)
    alike = kinds.pop(first.error_kind or "", [])
    if not kinds:
        return f"{' alike' if len(alike) > 1 else ''}: {said}"
    others = [
        f"{listed([f'trial {number}' for number in numbers])}{_in_brackets(kind)}"
        for kind, numbers in kinds.items()
    ]
    return f": {said}; and otherwise {', '.join(others)}"


def _in_brackets(kind: str | None) -> str:
    return f" ({kind})" if kind else ""


def _goes_on(
    session: Session, study: Study, rules: Rules, counts: Mapping[TrialState, int]
) -> bool:
    """Whether a study of which nothing runs has another trial to train."""
    if budget.may_draw(study, rules) or counts.get(TrialState.WAITING, 0):
        return True
    if not counts.get(TrialState.PAUSED, 0):
        return False
    return promotion(rules, searches.curves(session, study, rules), closing=True) is not None


def reopen_if_due(session: Session, study: Study, rules: Rules, *, now: datetime) -> None:
    """Let a locked finished study go on if its new budget leaves something to train."""
    if budget.is_spent(study, rules.spec, now=now):
        return
    if budget.may_draw(study, rules):
        studies.move(session, study, StudyState.RUNNING, now=now, reason="the budget grew")
    elif confirmations.create(session, study, rules.spec, now=now, again=True):
        reason = "its leaders are to be confirmed"
        studies.move(session, study, StudyState.RUNNING, now=now, reason=reason)


def cancel(session: Session, study: Study, *, now: datetime) -> None:
    """End a locked study now: what waits is cancelled, what runs is told to stop."""
    studies.move(session, study, StudyState.CANCELLED, now=now, reason="cancelled by a user")
    _end_rest(session, study, TrialState.CANCELLED, "the study was cancelled", now=now)


def take_back(session: Session, study: Study, reason: str, *, now: datetime) -> None:
    """Let the workers of a locked study lose their leases, as if each had given its trial back.

    A trial goes where it would have gone then: back to waiting, or where its verdict sends it.
    """
    for held in leases.list_held(session, study):
        end_attempt(session, held, Outcome(kind=OutcomeKind.YIELDED), now=now)
        if held.trial.state == TrialState.WAITING:
            leases.note_reason(held.attempt, reason)
            leases.note_trial_reason(held.trial, reason)


def _end_rest(
    session: Session, study: Study, state: TrialState, reason: str, *, now: datetime
) -> None:
    for trial in trials.list_in(session, study, [TrialState.WAITING, TrialState.PAUSED]):
        why = f"{trial.reason}; {reason}" if trial.state == TrialState.PAUSED else reason
        trials.move(session, study, trial, state, now=now, reason=why)


def _undone(session: Session, study: Study, spec: StudySpec) -> str:
    """What a study whose hours are used up leaves undone."""
    left = confirmations.due(session, study, spec, again=True)
    return "; its leaders were not confirmed" if left else ""


def _stopped_reason(study: Study, spec: StudySpec, now: datetime) -> str:
    return budget.spent_reason(study, spec, now=now) or "its worker stopped it"
