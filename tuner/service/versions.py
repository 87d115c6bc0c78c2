"""Which data a trial is trained on: noted with its first report, never mixed within a trial."""

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.errors import Conflict
from tuner.search.fidelity import WHOLE, target
from tuner.search.rules import Rules
from tuner.spec.examples import SHEETS
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Outcome, OutcomeKind, Report
from tuner.spec.states import TrialSource
from tuner.spec.versions import DataVersions, is_comparable, short
from tuner.store import artifacts, hot, studies
from tuner.store import versions as rows
from tuner.store.held import HeldTrial
from tuner.store.tables import Study

logger = logging.getLogger(__name__)
TOPIC = "data"  # of the study's warning
_LONGEST = 64  # of a fingerprint


def named_by(rules: Rules, trial: HeldTrial, fresh: Sequence[Report]) -> str | None:
    """The version that new reports of a trial name, if they are the first of it to name one.

    A rung that is a training on fewer images names those alone, which says nothing of the version.

    Raises:
        Conflict: they name several, or another one than the reports before them.
    """
    is_part = rules.is_staged and trial.source not in WHOLE
    if is_part and target(rules, trial.step) < trial.epochs:
        return None
    named = {report.data for report in fresh if report.data is not None}
    if trial.data_version is not None:
        named.add(trial.data_version)
    if len(named) > 1:
        versions = ", ".join(sorted(map(short, named)))
        raise Conflict(
            f"reports of trial {trial.number} come from different versions of the data "
            f"({versions}); end the attempt as 'outdated', and the trial begins anew"
        )
    return next(iter(named), None) if trial.data_version is None else None


def note(session: Session, study: Study, trial: HeldTrial, version: str, *, now: datetime) -> None:
    """Write down which data a locked study's trial is trained on; warn of a second version."""
    rows.set_version(trial, version)
    _become(session, study, _known(session, study).with_seen(version), now=now)


def note_outcome(
    session: Session,
    study: Study,
    rules: Rules,
    trial: HeldTrial,
    outcome: Outcome,
    *,
    now: datetime,
) -> None:
    """Note what only an attempt's end names: workers of earlier releases name no data before."""
    named = outcome.provenance.get("data")
    is_part = rules.is_staged and trial.source not in WHOLE
    if is_part and outcome.kind is not OutcomeKind.COMPLETED:
        return
    if outcome.kind is OutcomeKind.OUTDATED or not trial.step or named == trial.data_version:
        return
    if isinstance(named, str) and 0 < len(named) <= _LONGEST:
        note(session, study, trial, named, now=now)


def begin_anew(session: Session, study: Study, trial: HeldTrial, *, now: datetime) -> None:
    """Take back what a trial reported and stored, so that its next attempt begins at step 1."""
    before = trial.data_version
    outdated = {ArtifactKind.CHECKPOINT, *SHEETS}
    artifacts.drop(session, artifacts.list_for(session, trial.id, outdated))
    rows.begin_anew(session, trial)
    hot.write(session)
    if before is not None and before not in rows.count(session, study.id):
        _become(session, study, _known(session, study).without(before), now=now)


def note_completed(session: Session, study: Study, trial: HeldTrial, *, now: datetime) -> None:
    """Count a completed trial of a locked study for its version; only the search's own count."""
    if trial.data_version is None or trial.source == TrialSource.CONFIRM:
        return
    known = _known(session, study).with_completed(trial.data_version)
    _become(session, study, known, now=now)


def is_ranked(study: Study, trial: HeldTrial) -> bool:
    """Whether the trial is trained on the data whose trials the study ranks."""
    return is_comparable(trial.data_version, DataVersions.of(study.data_versions).ranked)


def _known(session: Session, study: Study) -> DataVersions:
    """What the study's row says; of trials from before it said anything, what their rows say."""
    if study.data_versions is not None:
        return DataVersions.of(study.data_versions)
    found = DataVersions()
    for version, has_completed in rows.list_all(session, study.id):
        found = found.with_completed(version) if has_completed else found.with_seen(version)
    return found


def _become(session: Session, study: Study, known: DataVersions, *, now: datetime) -> None:
    before = DataVersions.of(study.data_versions)
    if known == before and study.data_versions is not None:
        return
    rows.set_known(study, known)
    text = known.warning()
    studies.warn(session, study, {} if text is None else {TOPIC: text}, now=now, group=TOPIC)
    if len(known.seen) > 1:
        logger.warning("study %s: %s", study.name, text, extra={"study": study.name})
    if known.ranked != before.ranked:
        logger.info(
            "study %s ranks trials on data %s",
            study.name,
            short(known.ranked),
            extra={"study": study.name},
        )
