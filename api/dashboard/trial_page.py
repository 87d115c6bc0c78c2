"""All that the page of one trial shows, read and folded."""

from typing import Any

from markupsafe import Markup

from api.dashboard import charts, facts
from api.dashboard.format import flatten
from api.dashboard.per_class import class_scores
from tuner.errors import NotFound
from tuner.service import overview
from tuner.service.storage import Database
from tuner.spec.config import TrialConfig
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import OutcomeKind
from tuner.spec.metrics import SUMMARIES
from tuner.spec.views import Curve, StepView, TrialView

_COURSES = ("train_loss", "lr")
_PLANNED = {OutcomeKind.PAUSED, OutcomeKind.YIELDED}


def trial_page(db: Database, study: int | str, number: int) -> dict[str, Any]:
    """Context of the templates `trial.html` and `trial_live.html`. Raises NotFound."""
    view = overview.study(db, study)
    trial = overview.trial(db, view.id, number)
    steps = overview.steps(db, view.id, number)
    difference = facts.improvement(trial.value, view.base_value) if number else None
    return {
        "study": view,
        "objective": view.objective,
        "trial": trial,
        "gain": difference,
        "tone": facts.tone(view.objective, difference),
        "charts": _charts(trial, steps, view.objective.metric),
        "classes": class_scores(trial.config.dataset.classes, trial.metrics, trial.confusion),
        "summaries": _summaries(trial),
        "differences": _differences(db, trial),
        "config": trial.config.model_dump(mode="json"),
        "sections": _sections(trial.config),
        "attempts": _attempts(trial),
        "preview": next(
            (file for file in trial.artifacts if file.kind == ArtifactKind.PREVIEW), None
        ),
        "per_epoch": _per_epoch(steps),
        "last_number": view.counts.total - 1,
        "live": f"/partials/studies/{view.id}/trials/{number}",
        "events": facts.events_address(view),
    }


def _charts(trial: TrialView, steps: tuple[StepView, ...], objective: str) -> list[dict[str, Any]]:
    names = [objective, *(name for name in _COURSES if name != objective)]
    found = []
    for name in names:
        points = [(step.step, step.metrics[name]) for step in steps if name in step.metrics]
        if points:
            found.append({"name": name, "svg": _course(trial, name, points)})
    return found


def _course(trial: TrialView, name: str, points: list[tuple[int, float]]) -> Markup:
    steps, values = zip(*points, strict=True)
    curve = Curve(trial=trial.number, state=trial.state, steps=steps, values=values)
    folded = charts.fold_curves(
        [curve], best=trial.number, epochs=trial.epochs, points=charts.POINTS
    )
    return charts.draw_curves(folded, name=name, ends="value")


def _summaries(trial: TrialView) -> dict[str, float]:
    classes = {f"iou.{name}" for name in trial.config.dataset.classes}
    return {
        name: value
        for name, value in sorted(trial.metrics.items())
        if name in SUMMARIES or name not in classes
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


def _differences(db: Database, trial: TrialView) -> tuple[facts.Difference, ...]:
    """Its drawn params, then what else its config says otherwise than trial 0's."""
    if trial.number == 0:
        return ()
    try:
        base = overview.trial(db, trial.study_id, 0)
    except NotFound:
        return ()
    found = facts.differences(_values(trial.config), _values(base.config))
    told = [item for item in found if item.changed or item.path in trial.params]
    return tuple(sorted(told, key=lambda item: item.path not in trial.params))


def _per_epoch(steps: tuple[StepView, ...]) -> float | None:
    """Mean seconds of an epoch."""
    return sum(step.seconds for step in steps) / len(steps) if steps else None
