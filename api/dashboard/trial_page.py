"""All that the page of one trial shows: read at one moment, then folded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from api.dashboard import facts
from api.dashboard.charts.multiples import Multiple, Multiples, draw_multiple, fold_multiples
from api.dashboard.clone_form import CloneForm, clone_form
from api.dashboard.confusion import ConfusionFigure, confusion_figure
from api.dashboard.format import flatten
from api.dashboard.masks_panel import MasksPanel, masks_panel
from api.dashboard.per_class import ClassScore, class_scores
from api.dashboard.trial_query import TrialChoice
from api.dashboard.trial_series import Groups, groups, has_images, places, series, shown
from api.dashboard.words import gettext as _
from tuner.configs.colours import class_colours
from tuner.service.details import TrialDetail, trial_detail, trial_steps
from tuner.service.storage import Database
from tuner.spec.config import DatasetConfig, TrialConfig
from tuner.spec.examples import SHEETS
from tuner.spec.fleet import LogView
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef, OutcomeKind
from tuner.spec.metrics import MEASURED
from tuner.spec.states import StudyState, TrialState
from tuner.spec.study import Objective, StudySpec
from tuner.spec.views import StepView, StudyView, TrialView
from tuner.wording import improvement

_PLANNED = {OutcomeKind.PAUSED, OutcomeKind.YIELDED}
_STATIC_POINTS = 400  # of a drawn curve; the interactive one has all that its pixels can show
_OVER = {StudyState.CANCELLED, StudyState.FAILED}


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart and what it shows."""

    of: Multiple
    svg: Markup


@dataclass(frozen=True, slots=True)
class CurvesPanel:
    """The curves that are shown, and those that could be; `unit` is what lies across."""

    figures: tuple[Figure, ...]
    groups: Groups
    shown: tuple[str, ...]
    unit: str
    has_images: bool
    src: str


@dataclass(frozen=True, slots=True)
class Actions:
    """What can be done with the trial; `clone` is None where the study is over."""

    cancel: bool
    retry: bool
    clone: CloneForm | None


@dataclass(frozen=True, slots=True)
class TrialPage:
    """Context of the templates `trial/page.html` and `trial/live.html`.

    `gain` is over trial 0, `pace` what the epoch that counts says of speed, `costs` what is
    measured of its network, `best_step` the epoch of its best value, `per_epoch` and `left` are in
    seconds, `before` is the epoch that class scores are compared with, `config` is the whole config
    as JSON and `sections` the same as the page lays it out.
    """

    study: StudyView
    objective: Objective
    trial: TrialView
    query: TrialChoice
    actions: Actions
    gain: float | None
    tone: str
    curves: CurvesPanel
    classes: tuple[ClassScore, ...]
    colours: Mapping[str, str]
    before: int | None
    confusion: ConfusionFigure | None
    best_step: int | None
    pace: Mapping[str, float]
    costs: Mapping[str, float]
    differences: tuple[facts.Difference, ...]
    config: Mapping[str, Any]
    sections: Mapping[str, Any]
    attempts: str
    artifacts: Mapping[str, tuple[ArtifactRef, ...]]
    preview: ArtifactRef | None
    log: LogView | None
    masks: MasksPanel | None
    per_epoch: float | None
    left: float | None
    last_number: int
    live: str
    events: str


def trial_page(
    db: Database,
    study: int | str,
    number: int,
    query: TrialChoice,
    *,
    form: CloneForm | None = None,
) -> TrialPage:
    """The page of a trial, with a form as it was filled. Raises NotFound, Unreadable."""
    found = trial_detail(db, study, number, attempt=query.attempt)
    view, trial, steps = found.study, found.trial, found.steps
    difference = improvement(trial.value, view.base_value) if number else None
    names = trial.config.dataset.classes
    earlier = next((one for one in reversed(steps) if one.step < (trial.value_step or 0)), None)
    address = f"/studies/{view.id}/trials/{number}"
    return TrialPage(
        study=view,
        objective=view.objective,
        trial=trial,
        query=query,
        actions=_actions(found, form),
        gain=difference,
        tone=facts.tone(view.objective, difference),
        curves=_curves(view.spec, trial, steps, query, f"/partials{address}/curves{query.text}"),
        classes=class_scores(
            names, trial.metrics, trial.confusion, before=earlier.metrics if earlier else {}
        ),
        colours=_colours(trial.config.dataset),
        before=earlier.step if earlier else None,
        confusion=confusion_figure(trial.confusion, names, query.matrix),
        best_step=_best_step(view.objective, trial, steps),
        pace={name: trial.metrics[name] for name in facts.PACE if name in trial.metrics},
        costs={name: trial.metrics[name] for name in MEASURED if name in trial.metrics},
        differences=_differences(view.spec, trial, found.base),
        config=trial.config.model_dump(mode="json"),
        sections=_sections(trial.config),
        attempts=_attempts(trial),
        artifacts=_by_kind([file for file in trial.artifacts if file.kind not in SHEETS]),
        preview=next((file for file in trial.artifacts if file.kind == ArtifactKind.PREVIEW), None),
        masks=masks_panel(found.examples, query),
        log=found.log,
        per_epoch=_per_epoch(steps),
        left=_left(trial, steps),
        last_number=view.counts.total - 1,
        live=f"/partials{address}{query.text}",
        events=facts.events_address(view),
    )


def _best_step(objective: Objective, trial: TrialView, steps: Sequence[StepView]) -> int | None:
    """The first epoch that had the trial's best value; None where no stored one did."""
    reached = (one.step for one in steps if one.metrics.get(objective.metric) == trial.best_value)
    return next(reached, None) if trial.best_value is not None else None


def trial_curves(db: Database, study: int | str, number: int, query: TrialChoice) -> Multiples:
    """The data of the page's curves, for a script to draw. Raises NotFound, Unreadable."""
    found = trial_steps(db, study, number)
    names = shown(query, groups(found.steps, found.spec), found.steps)
    return _folded(found.spec, found.steps, query, names, epochs=found.epochs)


def _folded(
    spec: StudySpec,
    steps: Sequence[StepView],
    query: TrialChoice,
    names: Sequence[str],
    *,
    epochs: int,
    limit: int | None = None,
) -> Multiples:
    where = places(steps, query.axis, epochs)
    found = series(names, steps, where, spec.dataset.classes)
    if limit is None:
        return fold_multiples(found, where, weight=query.smooth)
    return fold_multiples(found, where, weight=query.smooth, limit=limit)


def _curves(
    spec: StudySpec, trial: TrialView, steps: Sequence[StepView], query: TrialChoice, src: str
) -> CurvesPanel:
    known = groups(steps, spec)
    names = shown(query, known, steps)
    folded = _folded(spec, steps, query, names, epochs=trial.epochs, limit=_STATIC_POINTS)
    return CurvesPanel(
        figures=tuple(Figure(one, draw_multiple(folded, one)) for one in folded.lines),
        groups=known,
        shown=names,
        unit=folded.unit,
        has_images=has_images(steps),
        src=src,
    )


def _colours(dataset: DatasetConfig) -> dict[str, str]:
    """The colour in which each class is painted wherever it is looked at, as CSS has it."""
    found = class_colours(dataset)
    return {
        name: "#{:02x}{:02x}{:02x}".format(*colour)
        for name, colour in zip(dataset.classes, found, strict=True)
    }


def _actions(found: TrialDetail, form: CloneForm | None) -> Actions:
    trial, over = found.trial, found.study.state in _OVER
    return Actions(
        cancel=not trial.state.has_ended,
        retry=trial.state is TrialState.FAILED and not over,
        clone=None if over else form or clone_form(found.study.spec, trial),
    )


def _sections(config: TrialConfig) -> dict[str, Any]:
    """The config by section, what changes on the way as sections of its own."""
    tree = config.model_dump(mode="json", exclude={"changes"})
    return tree | {
        _("from epoch {epoch}").format(epoch=change.epoch): change.values
        for change in config.changes
    }


def _attempts(trial: TrialView) -> str:
    """Why there were several attempts, in words; empty if there was one."""
    earlier = {attempt.outcome for attempt in trial.attempt_history[:-1]}
    if not earlier:
        return ""
    if OutcomeKind.FAILED in earlier:
        return _("tried again after it failed")
    return _("paused in between") if earlier <= _PLANNED else _("went on after losing a worker")


def _values(config: TrialConfig) -> dict[str, Any]:
    """Values of the recipe by path, later ones with their first epoch."""
    hidden = {"dataset", "seed", "changes"}
    later = {
        _("{path} from epoch {epoch}").format(path=path, epoch=change.epoch): value
        for change in config.changes
        for path, value in change.values.items()
    }
    return flatten(config.model_dump(mode="json", exclude=hidden)) | later


def _differences(
    spec: StudySpec, trial: TrialView, base: TrialConfig | None
) -> tuple[facts.Difference, ...]:
    """Its drawn params, then what else its config says otherwise than trial 0's.

    Of trial 0 itself, what it has where others may differ.
    """
    if trial.number == 0:
        own = _values(trial.config)
        searched = [path for path in spec.space.ordered if path in own]
        return tuple(facts.Difference(path, own[path], own[path], False) for path in searched)
    if base is None:
        return ()
    found = facts.differences(_values(trial.config), _values(base))
    shown_ones = [item for item in found if item.changed or item.path in trial.params]
    return tuple(sorted(shown_ones, key=lambda item: item.path not in trial.params))


def _by_kind(files: Sequence[ArtifactRef]) -> dict[str, tuple[ArtifactRef, ...]]:
    """Files by kind, models first, the kinds of which there are many last."""
    order = [kind.value for kind in (ArtifactKind.MODEL, ArtifactKind.CHECKPOINT, ArtifactKind.LOG)]
    kinds = sorted(
        {file.kind for file in files},
        key=lambda kind: (order.index(kind) if kind in order else len(order), kind),
    )
    return {kind: tuple(file for file in files if file.kind == kind) for kind in kinds}


def _per_epoch(steps: Sequence[StepView]) -> float | None:
    """Mean seconds of an epoch."""
    return sum(step.seconds for step in steps) / len(steps) if steps else None


def _left(trial: TrialView, steps: Sequence[StepView]) -> float | None:
    """Seconds that a running trial still takes to its full budget, at its pace so far."""
    mean = _per_epoch(steps)
    if trial.state is not TrialState.RUNNING or mean is None:
        return None
    return (trial.epochs - trial.step) * mean or None
