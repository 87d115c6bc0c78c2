"""Rows of trials: add, find, move, and what else of them is written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from tuner.errors import IllegalMove, NotFound
from tuner.spec.events import EventKind
from tuner.spec.messages import Outcome, Verdict
from tuner.spec.states import TrialSource, TrialState
from tuner.store import events, hot, lineage
from tuner.store.held import HeldTrial
from tuner.store.once import once
from tuner.store.preemptions import RunningAttempt
from tuner.store.tables import Study, Trial
from tuner.store.versions import comparable

_KINDS = {
    TrialState.RUNNING: EventKind.TRIAL_STARTED,
    TrialState.WAITING: EventKind.TRIAL_WAITING,
    TrialState.PAUSED: EventKind.TRIAL_PAUSED,
}


@dataclass(frozen=True, slots=True)
class NewTrial:
    """What a new trial is: its params, its whole config, and where they come from.

    `attrs` is what the sampler wants back, `parent` the number of the trial that it confirms, with
    the `replica`-th of the fresh seeds, or that it is a copy of.
    """

    params: Mapping[str, Any]
    config: Mapping[str, Any]
    source: TrialSource
    attrs: Mapping[str, Any] = field(default_factory=dict)
    parent: int | None = None
    replica: int | None = None


def add(session: Session, study: Study, new: NewTrial, *, now: datetime) -> Trial:
    """Insert the next trial of a locked study; it waits."""
    trial = Trial(
        study_id=study.id,
        number=study.trial_count,
        state=TrialState.WAITING,
        source=new.source,
        params=dict(new.params),
        config=dict(new.config),
        attrs={
            **new.attrs,
            **lineage.as_attributes(new.source, new.parent, new.replica),
        },
        parent=new.parent,
        replica=new.replica,
        step=0,
        epochs=new.config["training"]["epochs"],
        metrics={},
        attempts=0,
        verdict={},
        reason="",
        provenance={},
        seconds=0.0,
        created_at=now,
        revision=study.event_seq + 1,
    )
    study.trial_count += 1
    study.confirmations += new.source == TrialSource.CONFIRM
    study.copies += new.source == TrialSource.COPY
    session.add(trial)
    hot.batch_of(session).count(study.id, trial.state, 1)
    events.append(
        session,
        study,
        EventKind.TRIAL_CREATED,
        now=now,
        trial=trial.number,
        source=new.source,
    )
    return trial


def find(session: Session, study: Study, number: int) -> Trial:
    """The study's trial of that number. Raises NotFound."""
    trial = session.scalar(select(Trial).where(Trial.study_id == study.id, Trial.number == number))
    if trial is None:
        raise NotFound(
            f"study '{study.name}' has no trial {number}; "
            f"it has {study.trial_count}, counted from 0"
        )
    return trial


def next_waiting(session: Session, study: Study) -> Trial | None:
    """The waiting trial to hand out first: one that has begun, else the oldest."""
    return next(iter(list_waiting(session, study, limit=1)), None)


def list_in(session: Session, study: Study, states: Sequence[TrialState]) -> Sequence[Trial]:
    """Trials in any of these states, by number."""
    return session.scalars(
        select(Trial)
        .where(Trial.study_id == study.id, Trial.state.in_(states))
        .order_by(Trial.number)
    ).all()


def move(
    session: Session,
    study: Study,
    trial: Trial | HeldTrial,
    state: TrialState,
    *,
    now: datetime,
    reason: str = "",
) -> None:
    """Bring a trial of a locked study into another state, with its event. Raises IllegalMove."""
    if not TrialState(trial.state).may_become(state):
        raise IllegalMove(
            f"trial {trial.number} of '{study.name}' is {trial.state} and cannot become {state}"
        )
    hot.batch_of(session).count(study.id, trial.state, -1)
    hot.batch_of(session).count(study.id, state, 1)
    trial.state = state
    trial.reason = reason
    if state is TrialState.WAITING:
        set_verdict(trial, None)  # the one before has been carried out
    if state is TrialState.RUNNING:
        trial.started_at = trial.started_at or now
    if state.has_ended:
        trial.finished_at = now
        trial.study_epochs, trial.study_seconds = study.epochs, study.seconds
    trial.revision = events.append(
        session,
        study,
        _KINDS.get(state, EventKind.TRIAL_ENDED),
        now=now,
        trial=trial.number,
        state=state,
        step=trial.step,
        value=trial.value,
        reason=reason,
    )


def begin(
    session: Session, study: Study, trial: Trial, *, threads: int | None, now: datetime
) -> None:
    """Let a waiting trial of a locked study run, with these CPU threads if they are its own."""
    trial.threads = threads
    move(session, study, trial, TrialState.RUNNING, now=now)


def retry(session: Session, study: Study, trial: Trial, *, now: datetime) -> None:
    """Let a failed trial of a locked study wait again, as if none of its attempts had been lost."""
    move(session, study, trial, TrialState.WAITING, now=now, reason="tried again by a user")
    trial.forgiven = trial.attempts
    trial.error = trial.error_kind = None
    trial.finished_at = trial.study_epochs = trial.study_seconds = None


def take_measurements(trial: Trial | HeldTrial, metrics: Mapping[str, float]) -> None:
    """Give a trial what its network costs; from then on it is among the metrics of each step."""
    trial.metrics = {**trial.metrics, **metrics}


def mark_infeasible(trial: Trial | HeldTrial, verdict: Verdict) -> None:
    """Note that a trial which is not trained yet breaks a bound, and what to tell its worker."""
    trial.feasible = False
    set_verdict(trial, verdict)


def list_waiting(session: Session, study: Study, *, limit: int) -> Sequence[Trial]:
    """Waiting trials in the order in which they are handed out."""
    hot.write(session)
    return session.scalars(
        select(Trial)
        .where(Trial.study_id == study.id, Trial.state == TrialState.WAITING)
        .order_by(Trial.step.desc(), Trial.number)
        .limit(limit)
    ).all()


def last_trainable(session: Session, study: Study) -> int:
    """Number of the last trial that did not break a bound before its training; -1 if none."""
    hot.write(session)
    never_trained = and_(
        Trial.state == TrialState.PRUNED, Trial.feasible.is_(False), Trial.step == 0
    )
    query = select(func.max(Trial.number)).where(Trial.study_id == study.id, not_(never_trained))
    last = session.scalar(query)
    return -1 if last is None else int(last)


def complete(
    session: Session,
    study: Study,
    trial: Trial | HeldTrial,
    *,
    feasible: bool,
    now: datetime,
    reason: str = "",
) -> None:
    """End a trial of a locked study that was trained to its end."""
    trial.feasible = feasible
    move(session, study, trial, TrialState.COMPLETED, now=now, reason=reason)


def take_outcome(trial: HeldTrial, outcome: Outcome) -> None:
    """Keep what an attempt's end says of its trial: its error if it has one, where it was made."""
    trial.error, trial.error_kind = outcome.error, outcome.error_kind
    trial.provenance = {**trial.provenance, **outcome.provenance}


def set_verdict(trial: Trial | HeldTrial, verdict: Verdict | None) -> None:
    """Let this be what was decided on a trial last; None is that nothing was."""
    trial.verdict = {} if verdict is None else verdict.model_dump(mode="json")


def verdict_of(trial: Trial | HeldTrial | RunningAttempt) -> Verdict:
    """The last verdict on a trial; an empty one if this release does not know it."""
    try:
        return Verdict.model_validate(trial.verdict)
    except ValidationError:
        return Verdict()


def mark_changed(trial: Trial | HeldTrial, seq: int) -> None:
    """Let searches of the study take a trial in again, as it is after an event."""
    trial.revision = seq


def best(session: Session, study: Study, *, maximize: bool) -> Trial | None:
    """The feasible completed trial of the search with the best value; of equal ones the first."""
    return next(iter(leaders(session, study, maximize=maximize, limit=1)), None)


def leaders(session: Session, study: Study, *, maximize: bool, limit: int) -> Sequence[Trial]:
    """Feasible completed trials of the search, the best value first; of equal ones the earlier."""
    question = "leaders", study.id, maximize, limit
    return once(session, question, lambda: _leaders(session, study, maximize=maximize, limit=limit))


def _leaders(session: Session, study: Study, *, maximize: bool, limit: int) -> Sequence[Trial]:
    order = Trial.value.desc() if maximize else Trial.value.asc()
    few = (
        select(Trial.id)
        .where(
            Trial.study_id == study.id,
            comparable(study),
            Trial.state == TrialState.COMPLETED,
            Trial.source != TrialSource.CONFIRM,
            Trial.feasible.is_(True),
            Trial.value.is_not(None),
        )
        .order_by(order, Trial.number)
        .limit(limit)
    )
    wanted = select(Trial).where(Trial.id.in_(few)).order_by(order, Trial.number)
    return session.scalars(wanted).all()


def confirmations(session: Session, study: Study) -> Sequence[Trial]:
    """Trials that train a leader again with a fresh seed, by number."""
    if study.confirmations == 0:
        return ()
    return session.scalars(
        select(Trial)
        .where(Trial.study_id == study.id, Trial.source == TrialSource.CONFIRM)
        .order_by(Trial.number)
    ).all()


def saved(session: Session, study: Study) -> tuple[int, float]:
    """Epochs that pruned trials were not trained for, and their seconds at each trial's pace.

    Both are 0 where copies took their places and were trained instead.
    """
    if study.copies:
        return 0, 0.0
    left = Trial.epochs - Trial.step
    pace = Trial.seconds / func.nullif(Trial.step, 0)
    epochs, seconds = session.execute(
        select(func.sum(left), func.sum(left * pace)).where(
            Trial.study_id == study.id, Trial.state == TrialState.PRUNED
        )
    ).one()
    return int(epochs or 0), float(seconds or 0.0)


def count(session: Session, study_id: int, *, state: TrialState | None) -> int:
    """Number of a study's trials, of one state or all."""
    query = select(func.count()).select_from(Trial).where(Trial.study_id == study_id)
    if state is not None:
        query = query.where(Trial.state == state)
    return int(session.scalar(query) or 0)


def by_id(session: Session, ids: Collection[int]) -> dict[int, Trial]:
    """Trials by id."""
    found = session.scalars(select(Trial).where(Trial.id.in_(ids)))
    return {trial.id: trial for trial in found}


def base_value(session: Session, study: Study) -> float | None:
    """The value of trial 0, once it has completed; an imported study has no base recipe."""
    return session.scalar(
        select(Trial.value).where(
            Trial.study_id == study.id,
            comparable(study),
            Trial.number == 0,
            Trial.state == TrialState.COMPLETED,
            Trial.source != TrialSource.IMPORT,
        )
    )


def newest(
    session: Session, study_id: int, *, states: Collection[TrialState] | None, limit: int
) -> Sequence[Trial]:
    """Trials that have reported, running ones first, then by falling number."""
    query = (
        select(Trial)
        .where(Trial.study_id == study_id, Trial.step > 0)
        .order_by((Trial.state == TrialState.RUNNING).desc(), Trial.number.desc())
        .limit(limit)
    )
    if states is not None:
        query = query.where(Trial.state.in_(states))
    return session.scalars(query).all()


class Result(NamedTuple):
    """What a feasible completed trial of the search ended with."""

    id: int
    number: int
    value: float | None
    metrics: dict[str, Any]
    finished_at: datetime


def results(session: Session, study: Study) -> list[Result]:
    """Feasible completed trials of the search, by number."""
    query = (
        select(Trial.id, Trial.number, Trial.value, Trial.metrics, Trial.finished_at)
        .where(
            Trial.study_id == study.id,
            comparable(study),
            Trial.state == TrialState.COMPLETED,
            Trial.source != TrialSource.CONFIRM,
            Trial.feasible.is_(True),
        )
        .order_by(Trial.number)
    )
    return [Result(*row) for row in session.execute(query)]


class EndedTrial(NamedTuple):
    """An ended trial, as the optimisation history sees it."""

    number: int
    state: str
    value: float | None
    feasible: bool | None
    finished_at: datetime | None
    epochs: int | None
    seconds: float | None
    data_version: str | None


def ended(session: Session, study_id: int) -> list[EndedTrial]:
    """Ended trials of the search in the order of their ending."""
    query = (
        select(
            Trial.number,
            Trial.state,
            Trial.value,
            Trial.feasible,
            Trial.finished_at,
            Trial.study_epochs,
            Trial.study_seconds,
            Trial.data_version,
        )
        .where(
            Trial.study_id == study_id,
            Trial.finished_at.is_not(None),
            Trial.source != TrialSource.CONFIRM,
        )
        .order_by(Trial.finished_at, Trial.number)
    )
    return [EndedTrial(*row) for row in session.execute(query)]
