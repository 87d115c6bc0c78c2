"""Use cases of a user: submit, change, clone and delete a study, enqueue and cancel a trial."""

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from tuner.configs import checks, paths
from tuner.configs.checks import capabilities
from tuner.configs.checks.names import path_problems_of
from tuner.configs.seeds import trial_config
from tuner.errors import Conflict, InvalidSpec, NotFound, Problem, Unreadable
from tuner.service import acting, documents, lifecycle, summaries, transfers
from tuner.spec.access import DeedKind
from tuner.spec.messages import Action, Verdict
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.stored import dump_config
from tuner.spec.study import StudySpec
from tuner.spec.views import CloneRequest, StudyChange, StudyView, TrialView
from tuner.store import deletion, studies, trials
from tuner.store.engine import Database
from tuner.store.references import is_id
from tuner.store.tables import Study, Trial
from tuner.wording import quantity

logger = logging.getLogger(__name__)
_LIMITS = frozenset({"max_hours", "max_wall_hours"})  # of which there need be none
_TOP = ("priority", "weight", "preemptible", "keep")  # keys of the document itself that may change
LONGEST_STEM = 94  # of a copy's name, so that its number has room


def submit(
    db: Database, spec: StudySpec, *, idempotency_key: str | None = None
) -> tuple[StudyView, bool]:
    """Queue a checked study; True when it is new, False when the key made it before.

    Raises:
        Conflict: the name is taken, or the key came with another study.
        InvalidInput: its sampler needs a package that this server does not have.
        InvalidSpec: a study that it is to be warm-started from is unknown or still runs.
    """
    capabilities.require_packages(spec)
    document = spec.dump()
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    with db.transaction() as session:
        now = db.now()
        known = (
            studies.recall(session, idempotency_key, body_hash=digest) if idempotency_key else None
        )
        if known is not None:
            return summaries.study_view(session, known, now=now), False
        transfers.require_finished(session, spec)
        study = studies.add(session, document, now=now, owner=acting.owner())
        acting.note_study(session, DeedKind.SUBMIT, study, now=now)
        if idempotency_key:
            studies.remember(session, idempotency_key, body_hash=digest, study_id=study.id, now=now)
        logger.info(
            "study %s queued: %s trials",
            study.name,
            spec.search.trials,
            extra={"study": study.name},
        )
        return summaries.study_view(session, study, now=now), True


def change(db: Database, study: int | str, wanted: StudyChange) -> StudyView:
    """Pause, resume, cancel or re-budget a study.

    Raises:
        NotFound, IllegalMove: no such study, or its state does not allow it.
        Forbidden: it is another owner's, as in all that follows.
    """
    with db.transaction() as session:
        row = acting.lock(session, study)
        now = db.now()
        _rebudget(session, row, wanted, now=now)
        _steer(session, row, wanted.state, now=now)
        said = wanted.model_dump(mode="json", exclude_unset=True)
        acting.note_study(session, DeedKind.CHANGE, row, now=now, **said)
        return summaries.study_view(session, row, now=now)


def _rebudget(session: Session, row: Study, wanted: StudyChange, *, now: datetime) -> None:
    said = wanted.model_dump(mode="json", exclude={"state"}, exclude_unset=True)
    search = {key: said[key] for key in said if said[key] is not None or key in _LIMITS}
    top: dict[str, Any] = {k: search.pop(k) for k in _TOP if k in search}
    if not search and not top:
        return
    if StudyState(row.state) in {StudyState.CANCELLED, StudyState.FAILED}:
        raise Conflict(f"study '{row.name}' is {row.state}; clone it to go on")
    known = documents.spec_of(row).dump()
    document = {**known, **top, "search": {**known["search"], **search}}
    checks.parse(document, is_new=False)
    studies.replace_spec(session, row, document, {**top, **search}, now=now)
    if row.state == StudyState.FINISHED:
        lifecycle.reopen_if_due(session, row, documents.rules_of(row), now=now)
    else:
        lifecycle.close_if_done(session, row, documents.rules_of(row), now=now)


def _steer(session: Session, row: Study, state: str | None, *, now: datetime) -> None:
    if state == "cancelled":
        lifecycle.cancel(session, row, now=now)
    elif state == "running":
        if row.state == StudyState.QUEUED:
            return
        studies.move(session, row, StudyState.RUNNING, now=now)
    elif state == "paused":
        studies.move(session, row, StudyState.PAUSED, now=now, reason="paused by a user")


def clone(db: Database, study: int | str, request: CloneRequest) -> StudyView:
    """Queue a copy of a study under a new name. Raises NotFound, InvalidSpec, Conflict."""
    with db.transaction() as session:
        now = db.now()
        original = studies.find(session, study)
        document = {**documents.spec_of(original).dump(), **request.changes}
        document["name"] = request.name or free_name(session, original.name)
        spec = checks.parse(document)
        transfers.require_finished(session, spec)
        copy = studies.add(session, spec.dump(), now=now, owner=acting.owner())
        acting.note_study(session, DeedKind.CLONE, copy, now=now, of=original.name)
        return summaries.study_view(session, copy, now=now)


def free_name(session: Session, name: str) -> str:
    """A name that no study has, of the wanted one and a number if it must be."""
    if name not in studies.names_like(session, name):
        return name
    name = name[:LONGEST_STEM]
    taken = studies.names_like(session, name)
    return next(
        candidate for n in range(2, len(taken) + 3) if (candidate := f"{name}-{n}") not in taken
    )


def delete(db: Database, study: int | str, *, cancel: bool = False) -> None:
    """Hide a study at once; upkeep removes it some minutes later, until when it can be restored.

    Workers that train for it lose their leases: of a study which cannot be read always, of another
    one if its trials may be cancelled for that. Their trials wait for it to be restored.

    Raises:
        NotFound: there is no such study.
        Conflict: trials of it are running, and it may not be cancelled.
    """
    with db.transaction() as session:
        row = acting.lock(session, study)
        now = db.now()
        running = studies.load(session, [row.id])[row.id].running
        if running and _can_be_steered(session, row, now=now):
            if not cancel:
                has_ended = StudyState(row.state).has_ended
                wait = "wait until their workers have stopped" if has_ended else "cancel it first"
                many = quantity(running, "running trial")
                raise Conflict(f"study '{row.name}' has {many}; {wait}, or let deletion cancel it")
            lifecycle.take_back(session, row, deletion.HIDDEN, now=now)
        acting.note_study(session, DeedKind.DELETE, row, now=now)
        deletion.hide(session, row, now=now)
        logger.info("study %s (id %s) deleted", row.deleted_name, row.id)


def restore(db: Database, study: int | str) -> StudyView:
    """Bring a deleted study back as it was; under another name if its own was given away.

    Raises:
        NotFound: no study of that id or name was deleted lately.
        Conflict: it is not deleted.
    """
    with db.transaction() as session:
        row = deletion.lock(session, study)
        if row is None or row.deleted_name is None:
            raise _not_deleted(session, study)
        acting.require_owner(row)
        now, name = db.now(), free_name(session, row.deleted_name)
        deletion.show(session, row, name, now=now)
        acting.note_study(session, DeedKind.RESTORE, row, now=now)
        logger.info("study %s (id %s) restored", name, row.id)
        return summaries.study_view(session, row, now=now)


def _not_deleted(session: Session, study: int | str) -> Conflict | NotFound:
    try:
        row = studies.find(session, study)
    except NotFound:
        what = "id" if is_id(study) else "name"
        return NotFound(
            f"no deleted study has the {what} '{study}'; after a while it is removed for good"
        )
    return Conflict(f"study '{row.name}' is not deleted: it is {row.state}")


def _can_be_steered(session: Session, row: Study, *, now: datetime) -> bool:
    """Whether a study can be shown and so cancelled: one that is damaged can only be deleted."""
    try:
        summaries.study_view(session, row, now=now)
    except Unreadable:
        return False
    return True


def enqueue(db: Database, study: int | str, params: Mapping[str, Any]) -> TrialView:
    """Add a trial by hand: any config paths, searched or not.

    Raises:
        InvalidSpec: a path or value does not make a config.
        Conflict: the study has ended for good.
    """
    with db.transaction() as session:
        row = acting.lock(session, study)
        now = db.now()
        if StudyState(row.state) in {StudyState.CANCELLED, StudyState.FAILED}:
            raise Conflict(f"study '{row.name}' is {row.state}; clone it to go on")
        spec = documents.spec_of(row)
        _refuse_paths(params)
        config = trial_config(spec, params, row.trial_count)
        new = trials.NewTrial(params, dump_config(config), source=TrialSource.USER)
        trial = trials.add(session, row, new, now=now)
        acting.note_study(session, DeedKind.ENQUEUE, row, now=now, trial=trial.number)
        if row.state == StudyState.FINISHED:
            studies.move(session, row, StudyState.RUNNING, now=now, reason="a trial was added")
        return summaries.trial_view(session, row, trial)


def _refuse_paths(params: Mapping[str, Any]) -> None:
    refused = [
        Problem(("params", path), f"{path} cannot be set by hand: {paths.FIXED[path]}")
        for path in params
        if path in paths.FIXED
    ]
    refused += path_problems_of(params, ("params",))
    if refused:
        raise InvalidSpec(refused)


def cancel_trial(db: Database, study: int | str, number: int) -> TrialView:
    """End one trial: at once if it waits, at its next report or heartbeat if it runs.

    Raises:
        NotFound, Conflict: no such trial, or it has ended.
    """
    with db.transaction() as session:
        row = acting.lock(session, study)
        now = db.now()
        trial = trials.find(session, row, number)
        if TrialState(trial.state).has_ended:
            raise Conflict(f"trial {number} of '{row.name}' has ended already: {trial.state}")
        _cancel(session, row, trial, now=now)
        return summaries.trial_view(session, row, trial)


def cancel_trials(db: Database, study: int | str, numbers: Collection[int]) -> None:
    """End those of these trials that have not ended, as `cancel_trial` does; all or none.

    Raises:
        NotFound: no such trial.
    """
    with db.transaction() as session:
        row = acting.lock(session, study)
        now = db.now()
        for number in numbers:
            trial = trials.find(session, row, number)
            if not TrialState(trial.state).has_ended:
                _cancel(session, row, trial, now=now)


def _cancel(session: Session, row: Study, trial: Trial, *, now: datetime) -> None:
    reason = "cancelled by a user"
    acting.note_study(session, DeedKind.CANCEL_TRIAL, row, now=now, trial=trial.number)
    if trial.state == TrialState.RUNNING:
        trials.set_verdict(trial, Verdict(action=Action.STOP, reason=reason))
    else:
        trials.move(session, row, trial, TrialState.CANCELLED, now=now, reason=reason)
        lifecycle.close_if_done(session, row, documents.rules_of(row), now=now)
