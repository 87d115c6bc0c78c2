"""A copy of one trial in the place of another: it goes on from the checkpoint, changed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.configs.seeds import draw_seed
from tuner.search.judge import perturbed
from tuner.search.rules import Rules
from tuner.service import documents
from tuner.spec.config import Change, TrialConfig
from tuner.spec.space import Params
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.stored import dump_config
from tuner.spec.study import StudySpec
from tuner.store import artifacts, hot, reports, trials
from tuner.store.tables import Artifact, Study, Trial


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a copy begins: a trial's checkpoint, its step, the first epoch to train otherwise."""

    trial: Trial
    checkpoint: Artifact
    step: int
    begins: int


def replace(
    session: Session,
    study: Study,
    rules: Rules,
    ending: tuple[int, str],
    donors: Sequence[int],
    *,
    now: datetime,
) -> Trial | None:
    """End a paused trial of a locked study and add a copy of one of the donors in its place.

    `ending` is its number, and why it is to end. None, with nothing changed, if no donor has a
    checkpoint that is as far as the paused trial came and leaves something to train.
    """
    number, reason = ending
    replaced = trials.find(session, study, number)
    rng = random.Random(draw_seed(rules.spec.search.seed, study.trial_count))
    for candidate in rng.sample(donors, len(donors)):
        origin = _origin(session, trials.find(session, study, candidate))
        if origin is not None and origin.step >= replaced.step:
            why = f"{reason}; a copy of trial {candidate} takes its place"
            trials.move(session, study, replaced, TrialState.PRUNED, now=now, reason=why)
            values = perturbed(rules, origin.trial.params, rng)
            return _copy(session, study, rules.spec, origin, values, now=now)
    return None


def _origin(session: Session, donor: Trial) -> _Origin | None:
    """Where a copy of the trial would begin; None if it cannot be copied now.

    A paused trial stands between two epochs. Another checkpoint may lie within an epoch, which
    the copy must train to its end as the donor did.
    """
    checkpoint = artifacts.last_checkpoint(session, donor.id)
    if checkpoint is None or not checkpoint.step:
        return None
    step = checkpoint.step
    between_epochs = donor.state == TrialState.PAUSED and step == donor.step
    begins = step + (1 if between_epochs else 2)
    return _Origin(donor, checkpoint, step, begins) if begins <= donor.epochs else None


def _copy(
    session: Session,
    study: Study,
    spec: StudySpec,
    origin: _Origin,
    values: Params,
    *,
    now: datetime,
) -> Trial:
    new = trials.NewTrial(
        {**origin.trial.params, **values},
        dump_config(_changed(origin, values)),
        source=TrialSource.COPY,
        parent=origin.trial.number,
    )
    copy = trials.add(session, study, new, now=now)
    hot.write(session)
    reports.copy(session, origin.trial, copy, until=origin.step, objective=spec.objective)
    artifacts.share(session, origin.checkpoint, copy, now=now)
    return copy


def _changed(origin: _Origin, values: Params) -> TrialConfig:
    config = documents.config_of(origin.trial)
    last = config.changes[-1].epoch if config.changes else 0
    change = Change(epoch=max(origin.begins, last), values=values)
    return config.model_copy(update={"changes": (*config.changes, change)})
