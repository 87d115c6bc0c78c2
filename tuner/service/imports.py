"""Studies that were trained elsewhere become finished studies of ours."""

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from tuner.configs.seeds import trial_config
from tuner.errors import InvalidInput, InvalidSpec, Problem
from tuner.search.optuna_import import ImportedTrial
from tuner.service import acting, summaries
from tuner.spec.access import DeedKind
from tuner.spec.config import TrialConfig
from tuner.spec.counting import Counting
from tuner.spec.messages import Report
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.spec.stored import dump_config
from tuner.spec.study import StudySpec
from tuner.spec.views import StudyView
from tuner.store import hot, reports, studies, trials
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

logger = logging.getLogger(__name__)


def bring_in(
    db: Database, spec: StudySpec, imported: Sequence[ImportedTrial], *, origin: str
) -> StudyView:
    """Store a checked study with its trials, finished; a larger budget lets it go on.

    Raises:
        InvalidSpec: a trial's params do not make a config of this study.
        InvalidInput: there is no trial to import.
        Conflict: the name is taken.
    """
    configs = _configs(spec, imported)
    document = spec.dump()
    document["search"]["trials"] = len(imported)
    with db.transaction() as session:
        now = db.now()
        # Nobody else sees it before the commit.
        study = studies.add(session, document, now=now, owner=acting.owner())
        acting.note_study(session, DeedKind.IMPORT, study, now=now)
        studies.move(session, study, StudyState.RUNNING, now=now)
        for one, config in zip(imported, configs, strict=True):
            _add(session, study, spec, one, config, now=now)
        reason = f"imported from {origin}"
        studies.move(session, study, StudyState.FINISHED, now=now, reason=reason)
        logger.info(
            "study %s imported: %s trials", study.name, len(imported), extra={"study": study.name}
        )
        return summaries.study_view(session, study, now=now)


def _configs(spec: StudySpec, imported: Sequence[ImportedTrial]) -> list[TrialConfig]:
    if not imported:
        raise InvalidInput([Problem((), "there is no completed or pruned trial to import")])
    found, problems = list[TrialConfig](), list[Problem]()
    for number, one in enumerate(imported):
        try:
            found.append(trial_config(spec, one.params, number))
        except InvalidSpec as error:
            problems += [
                Problem(("trials", number, *problem.location), problem.message)
                for problem in error.problems
            ]
    if problems:
        raise InvalidSpec(problems)
    return found


def _add(
    session: Session,
    study: Study,
    spec: StudySpec,
    imported: ImportedTrial,
    config: TrialConfig,
    *,
    now: datetime,
) -> None:
    new = trials.NewTrial(imported.params, dump_config(config), source=TrialSource.IMPORT)
    trial = trials.add(session, study, new, now=now)
    hot.write(session)
    trials.move(session, study, trial, TrialState.RUNNING, now=now)
    # What it came to elsewhere is its value, whatever it had come to before.
    counting = Counting(spec.objective.model_copy(update={"at": "last"}))
    for message in _reports(spec, imported, trial):
        reports.store(session, study, trial, message, counting=counting, now=now)
    reason = "trained elsewhere"
    if imported.state is TrialState.COMPLETED:
        trials.complete(session, study, trial, feasible=True, now=now, reason=reason)
    else:
        trials.move(session, study, trial, imported.state, now=now, reason=reason)


def _reports(spec: StudySpec, imported: ImportedTrial, trial: Trial) -> list[Report]:
    """A report for each step that has a value, and of a completed trial one for the last."""
    metric = spec.objective.metric
    metrics = {step: {metric: value} for step, value in sorted(imported.steps.items())}
    if imported.state is TrialState.COMPLETED:
        names = [objective.metric for objective in spec.objectives]
        metrics[trial.epochs] = dict(zip(names, imported.values, strict=True))
    share = imported.seconds / max(1, len(metrics))
    return [Report(step=step, metrics=found, seconds=share) for step, found in metrics.items()]
