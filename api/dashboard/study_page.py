"""All that the page of one study shows, read and folded."""

from datetime import UTC, datetime
from typing import Any

from api.dashboard import charts, facts, front_chart
from api.dashboard.format import flatten, short_paths
from api.dashboard.study_list import state_counts
from api.dashboard.trial_table import PAGE, TableQuery
from tuner.configs.resolve import resolve
from tuner.errors import NotFound
from tuner.service import overview, pareto
from tuner.service.storage import Database
from tuner.spec.states import TrialState
from tuner.spec.views import Best, Curve, StudyView

RUNNING_CURVES, ENDED_CURVES = 24, 40
_ENDED = frozenset(state for state in TrialState if state.has_ended)


def study_page(db: Database, study: int | str, query: TableQuery) -> dict[str, Any]:
    """Context of `study.html` and `study_live.html`. Raises NotFound, InvalidInput."""
    view = overview.study(db, study)
    now = datetime.now(UTC)
    difference = facts.improvement(view.best_value, view.base_value)
    best = _best(db, view)
    return {
        "study": view,
        "objective": view.objective,
        "counts": state_counts(view),
        "gain": difference,
        "tone": facts.tone(view.objective, difference),
        "left": _left(view, now),
        "saved": facts.saved_share(view.epochs, view.epochs_saved),
        "best": best,
        "recipe": _recipe(view, best),
        "history": _history(db, view, query),
        "curves": _curves(db, view),
        "front": _front(db, view),
        "table": _table(db, view, query),
        "query": query,
        "columns": short_paths(tuple(view.spec.space.root)),
        "more_objectives": [item.metric for item in view.spec.objectives[1:]],
        "live": f"/partials/studies/{view.id}{query.text}",
        "events": facts.events_address(view),
    }


def _left(view: StudyView, now: datetime) -> float | None:
    """Time until the study's end: at the pace so far, or by its deadline if that comes first."""
    bounds = [facts.seconds_left(view, now)]
    if not view.state.has_ended:
        bounds.append(facts.until_deadline(view, now))
    return min((bound for bound in bounds if bound is not None), default=None)


def _best(db: Database, view: StudyView) -> Best | None:
    if view.best_trial is None:
        return None
    try:
        return overview.best(db, view.id)
    except NotFound:
        return None


def _recipe(view: StudyView, best: Best | None) -> tuple[facts.Difference, ...]:
    """Searched params of the best trial beside the base recipe's."""
    if best is None:
        return ()
    base = flatten(resolve(view.spec.base, view.spec.dataset, {}).model_dump(mode="json"))
    return facts.differences(best.params, {path: base.get(path) for path in best.params})


def _history(db: Database, view: StudyView, query: TableQuery) -> dict[str, Any]:
    points = overview.history(db, view.id)
    folded = charts.fold_history(points, view.objective, base=view.base_value, axis=query.axis)
    svg = charts.draw_history(folded, name=view.objective.metric) if points else None
    return {"svg": svg, "outside": folded.outside, "shown": len(folded.marks), "all": len(points)}


def _curves(db: Database, view: StudyView) -> dict[str, Any]:
    """Running trials over some of the ended ones; the best always among them."""
    running = overview.curves(db, view.id, states={TrialState.RUNNING}, limit=RUNNING_CURVES)
    ended = overview.curves(db, view.id, states=set(_ENDED), limit=ENDED_CURVES)
    folded = charts.fold_curves(
        [*_with_best(db, view, ended), *running],
        best=view.best_trial,
        epochs=view.spec.most_epochs,
    )
    svg = charts.draw_curves(folded, name=view.objective.metric) if folded.lines else None
    faint = sum(line.role != "running" for line in folded.lines)
    return {"svg": svg, "running": len(folded.lines) - faint, "ended": faint}


def _with_best(db: Database, view: StudyView, curves: tuple[Curve, ...]) -> list[Curve]:
    """The service gives the newest curves; the best trial's may be an old one."""
    if view.best_trial is None or any(curve.trial == view.best_trial for curve in curves):
        return list(curves)
    name = view.objective.metric
    reports = overview.steps(db, view.id, view.best_trial)
    points = {report.step: report.metrics[name] for report in reports if name in report.metrics}
    steps, values = tuple(points), tuple(points.values())
    best = Curve(trial=view.best_trial, state=TrialState.COMPLETED, steps=steps, values=values)
    return [*curves, best]


def _front(db: Database, view: StudyView) -> dict[str, Any] | None:
    """Charts of the front; None with one objective, or before a trial has completed."""
    if len(view.spec.objectives) < 2:
        return None
    front = pareto.front(db, view.id)
    if not front.steps:
        return None
    folded = front_chart.fold_front(front)
    return {
        "view": front,
        "svg": front_chart.draw_front(folded),
        "corner": folded.corner,
        "volume": front_chart.draw_volume(front),
        "count": sum(one.on_front for one in front.steps),
    }


def _table(db: Database, view: StudyView, query: TableQuery) -> dict[str, Any]:
    page = overview.trials(
        db,
        view.id,
        sort=query.sort,
        descending=query.descending,
        state=query.state,
        cursor=query.cursor,
        limit=PAGE,
    )
    following = query.following(page.next, len(page.items)) if page.next else None
    first = query.first() if query.cursor else None
    return {"page": page, "next": following, "first": first}
