"""All that the page of one trial shows: read at one moment, then folded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from api.dashboard import facts
from api.dashboard.charts.curves import draw_curves, fold_curves
from api.dashboard.charts.frame import POINTS
from api.dashboard.format import flatten
from api.dashboard.per_class import ClassScore, class_scores
from tuner.service.details import trial_detail
from tuner.service.storage import Database
from tuner.spec.config import TrialConfig
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import ArtifactRef, OutcomeKind
from tuner.spec.metrics import MEASURED, SUMMARIES
from tuner.spec.study import Objective
from tuner.spec.views import Curve, StepView, StudyView, TrialView
from tuner.wording import improvement

_CURVES = ("train_loss", "lr")
_PLANNED = {OutcomeKind.PAUSED, OutcomeKind.YIELDED}


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart and what it shows."""

    name: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class TrialPage:
    """Context of the templates `trial.html` and `trial_live.html`.

    `gain` is over trial 0, `costs` are what is measured of its network, `per_epoch` is in seconds,
    `config` is the whole config as JSON and `sections` the same as the page lays it out.
    """

    study: StudyView
    objective: Objective
    trial: TrialView
    gain: float | None
    tone: str
    charts: tuple[Figure, ...]
    classes: tuple[ClassScore, ...]
    summaries: Mapping[str, float]
    costs: Mapping[str, float]
    differences: tuple[facts.Difference, ...]
    config: Mapping[str, Any]
    sections: Mapping[str, Any]
    attempts: str
    preview: ArtifactRef | None
    per_epoch: float | None
    last_number: int
    live: str
    events: str


def trial_page(db: Database, study: int | str, number: int) -> TrialPage:
    """The page of a trial. Raises NotFound, Unreadable."""
    found = trial_detail(db, study, number)
    view, trial = found.study, found.trial
    difference = improvement(trial.value, view.base_value) if number else None
    return TrialPage(
        study=view,
        objective=view.objective,
        trial=trial,
        gain=difference,
        tone=facts.tone(view.objective, difference),
        charts=_charts(trial, found.steps, view.objective.metric),
        classes=class_scores(trial.config.dataset.classes, trial.metrics, trial.confusion),
        summaries=_summaries(trial),
        costs={name: trial.metrics[name] for name in MEASURED if name in trial.metrics},
        differences=_differences(trial, found.base),
        config=trial.config.model_dump(mode="json"),
        sections=_sections(trial.config),
        attempts=_attempts(trial),
        preview=next((file for file in trial.artifacts if file.kind == ArtifactKind.PREVIEW), None),
        per_epoch=_per_epoch(found.steps),
        last_number=view.counts.total - 1,
        live=f"/partials/studies/{view.id}/trials/{number}",
        events=facts.events_address(view),
    )


def _charts(trial: TrialView, steps: tuple[StepView, ...], objective: str) -> tuple[Figure, ...]:
    names = [objective, *(name for name in _CURVES if name != objective)]
    found = []
    for name in names:
        points = [(step.step, step.metrics[name]) for step in steps if name in step.metrics]
        if points:
            found.append(Figure(name, _curve(trial, name, points)))
    return tuple(found)


def _curve(trial: TrialView, name: str, points: list[tuple[int, float]]) -> Markup:
    steps, values = zip(*points, strict=True)
    curve = Curve(trial=trial.number, state=trial.state, steps=steps, values=values)
    folded = fold_curves([curve], best=trial.number, epochs=trial.epochs, points=POINTS)
    return draw_curves(folded, name=name, ends="value")


def _summaries(trial: TrialView) -> dict[str, float]:
    classes = {f"iou.{name}" for name in trial.config.dataset.classes}
    return {
        name: value
        for name, value in sorted(trial.metrics.items())
        if name in SUMMARIES or name not in {*classes, *MEASURED}
    }


def _sections(config: TrialConfig) -> dict[str, Any]:
    """The config by section, what changes on the way as sections of its own."""
    tree = config.model_dump(mode="json", exclude={"changes"})
    return tree | {f"from epoch {change.epoch}": change.values for change in config.changes}


def _attempts(trial: TrialView) -> str:
    """Why there were several attempts, in words; empty if there was one."""
    earlier = {attempt.outcome for attempt in trial.attempt_history[:-1]}
    if not earlier:
        return ""
    return "paused in between" if earlier <= _PLANNED else "went on after losing a worker"


def _values(config: TrialConfig) -> dict[str, Any]:
    """Values of the recipe by path, later ones with their first epoch."""
    hidden = {"dataset", "seed", "changes"}
    later = {
        f"{path} from epoch {change.epoch}": value
        for change in config.changes
        for path, value in change.values.items()
    }
    return flatten(config.model_dump(mode="json", exclude=hidden)) | later


def _differences(trial: TrialView, base: TrialConfig | None) -> tuple[facts.Difference, ...]:
    """Its drawn params, then what else its config says otherwise than trial 0's."""
    if trial.number == 0 or base is None:
        return ()
    found = facts.differences(_values(trial.config), _values(base))
    shown = [item for item in found if item.changed or item.path in trial.params]
    return tuple(sorted(shown, key=lambda item: item.path not in trial.params))


def _per_epoch(steps: tuple[StepView, ...]) -> float | None:
    """Mean seconds of an epoch."""
    return sum(step.seconds for step in steps) / len(steps) if steps else None
