"""Everything about one study or one trial at one moment: what a page shows, in one read."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from tuner.errors import NotFound
from tuner.service import (
    documents,
    examples,
    pareto,
    rankings,
    results,
    summaries,
    trial_lists,
    trial_logs,
)
from tuner.service.charts import curves as learning_curves
from tuner.service.charts import history
from tuner.service.charts.curves import CurveChoice, StudyCurves
from tuner.service.charts.reading import ReadChart
from tuner.service.charts.selection import ChartSelection, objective
from tuner.service.results import HistoryRow
from tuner.service.trial_fields import TrialFields
from tuner.service.trial_lists import TrialSelection
from tuner.service.trial_points import PointSelection, StudyPoints, beside, points_of
from tuner.spec.config import TrialConfig
from tuner.spec.example_views import StudyExamples, TrialExamples
from tuner.spec.fleet import LogView
from tuner.spec.metrics import MINIMIZED
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import (
    Best,
    FrontView,
    Page,
    StepView,
    StudyView,
    TrialSummary,
    TrialView,
)
from tuner.store import studies, trials
from tuner.store.engine import Database
from tuner.store.tables import Study, Trial

IMAGE_ROWS = 3


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study with what it has found.

    `ranked_by` is what its charts rank by, and `base` what trial 0 has of it. `front` is None with
    one objective, `best` and its number, the `leader`, while no trial can be called so.
    """

    study: StudyView
    best: Best | None
    leader: int | None
    history: tuple[HistoryRow, ...]
    ranked_by: Objective
    base: float | None
    curves: StudyCurves
    front: FrontView | None
    trials: Page[TrialSummary]
    examples: StudyExamples
    fields: TrialFields
    analysis: Any = None  # what the reader of an open tab found
    points: tuple[StudyPoints, ...] = ()


@dataclass(frozen=True, slots=True)
class TableDetail:
    """A study and a page of its trials; `fields` are what its filters and columns can name.

    `leader` is the best trial by what they are ranked by.
    """

    study: StudyView
    leader: int | None
    trials: Page[TrialSummary]
    fields: TrialFields


@dataclass(frozen=True, slots=True)
class StudyImages:
    """A study with the same validation images across its selected trials."""

    study: StudyView
    examples: StudyExamples


@dataclass(frozen=True, slots=True)
class TrialDetail:
    """A trial within its study; `base` is the config of trial 0, where there is one, and `log` that
    of the attempt which was asked for; None where there is no attempt.
    """

    study: StudyView
    trial: TrialView
    base: TrialConfig | None
    steps: tuple[StepView, ...]
    log: LogView | None
    examples: TrialExamples


@dataclass(frozen=True, slots=True)
class TrialSteps:
    """What a trial reported, and of how many epochs."""

    spec: StudySpec
    epochs: int
    steps: tuple[StepView, ...]


def study_detail(
    db: Database,
    study: int | str,
    selection: TrialSelection,
    *,
    curves: CurveChoice | None = None,
    analysis: ReadChart | None = None,
    points: PointSelection | None = None,
) -> StudyDetail:
    """A study and its selected trials, which its charts are about as its table is.

    With `points` also every trial, as charts relate params to results.

    Raises:
        NotFound: no such study.
        InvalidInput: the sort key, the cursor, the filter or a metric.
    """
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        shown = ChartSelection(selection.state, selection.filter, selection.by)
        best = _best(session, row, view, selection.by or None)
        return StudyDetail(
            study=view,
            best=best,
            leader=best.trial if best and selection.by else view.best_trial,
            history=history.points(session, row, shown),
            ranked_by=objective(view.spec, shown),
            base=history.base(session, row, shown),
            curves=learning_curves.read(session, row, shown, curves or CurveChoice()),
            front=_front(session, row, view.spec),
            trials=trial_lists.page(session, row, view.spec, selection),
            examples=examples.study_examples(session, row, _first_few(view, selection)),
            fields=trial_lists.fields_of(session, row, view.spec),
            analysis=analysis(session, row, shown) if analysis else None,
            points=_points(session, row, selection, points),
        )


def table_detail(db: Database, study: int | str, selection: TrialSelection) -> TableDetail:
    """A study's selected trials alone. Raises NotFound, InvalidInput (sort key, filter, cursor)."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        return TableDetail(
            study=view,
            leader=_leader(session, row, view, selection.by),
            trials=trial_lists.page(session, row, view.spec, selection),
            fields=trial_lists.fields_of(session, row, view.spec),
        )


def analysis_detail(
    db: Database, study: int | str, shown: ChartSelection, analysis: ReadChart
) -> tuple[StudyView, Any]:
    """A study and what a reader finds in it. Raises NotFound, Unreadable, InvalidInput."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        return view, analysis(session, row, shown)


def study_images(db: Database, study: int | str, selection: TrialSelection) -> StudyImages:
    """A study's images across trials; without a sort key the best trial comes first.

    Raises:
        NotFound: no study is called so.
        InvalidInput: the sort key, the filter or the cursor.
    """
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        wanted = selection if selection.sort else _best_first(view, selection)
        return StudyImages(study=view, examples=examples.study_examples(session, row, wanted))


def trial_detail(
    db: Database, study: int | str, number: int, *, attempt: int | None = None
) -> TrialDetail:
    """A trial with its steps, and the log of an attempt, of the last one for None.

    Raises:
        NotFound, Unreadable
    """
    with db.snapshot() as session:
        row = studies.find(session, study)
        view = summaries.study_view(session, row, now=db.now())
        trial = trials.find(session, row, number)
        return TrialDetail(
            study=view,
            trial=summaries.trial_view(session, row, trial),
            base=_base(session, row),
            steps=results.steps(session, trial),
            examples=examples.trial_examples(session, row, number),
            log=_last_output(session, row, trial, attempt),
        )


def trial_steps(db: Database, study: int | str, number: int) -> TrialSteps:
    """The steps of a trial alone, for its curves. Raises NotFound, Unreadable."""
    with db.snapshot() as session:
        row = studies.find(session, study)
        trial = trials.find(session, row, number)
        return TrialSteps(
            spec=documents.spec_of(row), epochs=trial.epochs, steps=results.steps(session, trial)
        )


def _last_output(session: Session, row: Study, trial: Trial, attempt: int | None) -> LogView | None:
    if not trial.attempts and attempt is None:
        return None
    return trial_logs.shown(session, row, trial.number, attempt=attempt)


def _best_first(view: StudyView, selection: TrialSelection) -> TrialSelection:
    if selection.by:
        return replace(selection, sort=selection.by, descending=selection.by not in MINIMIZED)
    is_descending = view.objective.direction == "maximize"
    return replace(selection, sort="value", descending=is_descending)


def _first_few(view: StudyView, selection: TrialSelection) -> TrialSelection:
    """The trials that a study's page shows images of: the best of those selected, as ranked."""
    few = replace(selection, cursor=None, limit=IMAGE_ROWS, metrics=())
    return _best_first(view, few)


def _leader(session: Session, row: Study, view: StudyView, by: str) -> int | None:
    if view.best_trial is None or not by:
        return view.best_trial
    try:
        objective = rankings.objective_of(view.spec, by, None)
        return rankings.ranked(session, row, view.spec, objective)[0].number
    except NotFound:
        return None


def _best(session: Session, row: Study, view: StudyView, by: str | None) -> Best | None:
    if view.best_trial is None:
        return None
    try:
        return results.best(session, row, view.spec, objective=by)
    except NotFound:
        return None


def _front(session: Session, row: Study, spec: StudySpec) -> FrontView | None:
    return pareto.view(session, row, spec) if len(spec.objectives) > 1 else None


def _points(
    session: Session, row: Study, selection: TrialSelection, asked: PointSelection | None
) -> tuple[StudyPoints, ...]:
    if asked is None:
        return ()
    asked = replace(asked, filter=selection.filter, by=next(iter(selection.metrics), None))
    own = points_of(session, row, asked)
    return (own, *beside(session, own, asked))


def _base(session: Session, row: Study) -> TrialConfig | None:
    try:
        return documents.config_of(trials.find(session, row, 0))
    except NotFound:
        return None
