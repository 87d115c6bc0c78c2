"""Everything about one study or one trial at one moment: what a page shows, in one read."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.service import documents, pareto, results, summaries, trial_lists
from tuner.service.trial_fields import TrialFields
from tuner.service.trial_lists import TrialSelection
from tuner.spec.config import TrialConfig
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.spec.views import (
    Best,
    Curve,
    FrontView,
    HistoryPoint,
    Page,
    StepView,
    StudyView,
    TrialSummary,
    TrialView,
)
from tuner.store import studies, trials
from tuner.store.engine import Database
from tuner.store.tables import Study

RUNNING_CURVES, ENDED_CURVES = 24, 40
_ENDED = frozenset(state for state in TrialState if state.has_ended)


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study with what it has found; `curves` are those of running trials and of some ended ones.

    `front` is None with one objective, `best` while no trial can be called so.
    """

    study: StudyView
    best: Best | None
    history: tuple[HistoryPoint, ...]
    curves: tuple[Curve, ...]
    front: FrontView | None
    trials: Page[TrialSummary]
    fields: TrialFields


@dataclass(frozen=True, slots=True)
class TableDetail:
    """A study and a page of its trials; `fields` are what its filters and columns can name."""

    study: StudyView
    trials: Page[TrialSummary]
    fields: TrialFields


@dataclass(frozen=True, slots=True)
class TrialDetail:
    """A trial within its study; `base` is the config of trial 0, where there is one."""

    study: StudyView
    trial: TrialView
    base: TrialConfig | None
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class TrialSteps:
    """What a trial reported, and of how many epochs."""

    spec: StudySpec
    epochs: int
    steps: tuple[StepView, ...]


def study_detail(db: Database, study: int | str, selection: TrialSelection) -> StudyDetail:
    """A study and its selected trials. Raises NotFound, InvalidInput (sort key, filter, cursor)."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        return StudyDetail(
            study=view,
            best=_best(session, row, view, selection.by or None),
            history=results.history(session, row),
            curves=_curves(session, row, view.best_trial),
            front=_front(session, row, view.spec),
            trials=trial_lists.page(session, row, view.spec, selection),
            fields=trial_lists.fields_of(session, row, view.spec),
        )


def table_detail(db: Database, study: int | str, selection: TrialSelection) -> TableDetail:
    """A study's selected trials alone. Raises NotFound, InvalidInput (sort key, filter, cursor)."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        return TableDetail(
            study=view,
            trials=trial_lists.page(session, row, view.spec, selection),
            fields=trial_lists.fields_of(session, row, view.spec),
        )


def trial_detail(db: Database, study: int | str, number: int) -> TrialDetail:
    """A trial with its steps. Raises NotFound, Unreadable."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        trial = trials.find(session, row, number)
        return TrialDetail(
            study=view,
            trial=summaries.trial_view(session, row, trial),
            base=_base(session, row),
            steps=results.steps(session, trial),
        )


def trial_steps(db: Database, study: int | str, number: int) -> TrialSteps:
    """The steps of a trial alone, for its curves. Raises NotFound, Unreadable."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        trial = trials.find(session, row, number)
        return TrialSteps(
            spec=documents.spec_of(row), epochs=trial.epochs, steps=results.steps(session, trial)
        )


def _best(session: Session, row: Study, view: StudyView, by: str | None) -> Best | None:
    if view.best_trial is None:
        return None
    try:
        return results.best(session, row, view.spec, objective=by)
    except NotFound:
        return None


def _curves(session: Session, row: Study, best: int | None) -> tuple[Curve, ...]:
    """Running trials over some of the ended ones; the best always among them."""
    ended = list(trials.newest(session, row.id, states=_ENDED, limit=ENDED_CURVES))
    if best is not None and all(trial.number != best for trial in ended):
        ended.append(trials.find(session, row, best))
    running = trials.newest(session, row.id, states={TrialState.RUNNING}, limit=RUNNING_CURVES)
    return results.curves(session, row, [*ended, *running])


def _front(session: Session, row: Study, spec: StudySpec) -> FrontView | None:
    return pareto.view(session, row, spec) if len(spec.objectives) > 1 else None


def _base(session: Session, row: Study) -> TrialConfig | None:
    try:
        return documents.config_of(trials.find(session, row, 0))
    except NotFound:
        return None
