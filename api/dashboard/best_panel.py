"""The panel of the best configuration: what it is, what it gains, and how to train it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from urllib.parse import urlencode

from api.dashboard import facts
from api.dashboard.format import flatten
from tuner.configs.resolve import resolve
from tuner.spec import yaml_core
from tuner.spec.study import Objective
from tuner.spec.views import Best, StudyView
from tuner.wording import improvement


@dataclass(frozen=True, slots=True)
class BestDocument:
    """The best configuration in one of its forms: its text, and where it is downloaded."""

    form: str
    text: str
    address: str


@dataclass(frozen=True, slots=True)
class BestPanel:
    """The best trial by the objective, or by the metric that the page ranks by.

    `epoch` is the one that counts, None where that is the last; `gain` is over trial 0; `mean` and
    `spread` are over fresh seeds, None before all are trained.
    """

    trial: int
    metric: str
    value: float | None
    epoch: int | None
    gain: float | None
    tone: str
    mean: float | None
    spread: float | None
    seeds: int
    best: Best
    recipe: tuple[facts.Difference, ...]
    documents: tuple[BestDocument, ...]
    fetch: str
    train: str


def best_panel(view: StudyView, best: Best | None) -> BestPanel | None:
    """The panel of a study; None while it has no best trial."""
    if best is None:
        return None
    objective = Objective.model_validate(best.provenance["objective"])
    value = best.metrics.get(objective.metric)
    is_own = objective == view.objective
    gain = improvement(value, view.base_value) if is_own and best.trial else None
    confirmed = best.confirmation if best.confirmation and best.confirmation.complete else None
    leader = confirmed.leaders[0] if confirmed and confirmed.leaders else None
    return BestPanel(
        trial=best.trial,
        metric=objective.metric,
        value=value,
        epoch=best.provenance.get("epoch") if best.config.best_by is not None else None,
        gain=gain,
        tone=facts.tone(objective, gain),
        mean=leader.mean if leader else None,
        spread=leader.spread if leader else None,
        seeds=len(confirmed.seeds) if confirmed else 0,
        best=best,
        recipe=_recipe(view, best),
        documents=_documents(view, best, {} if is_own else {"objective": objective.metric}),
        fetch=_fetch(view, None if is_own else objective.metric),
        train="segtune train best.json",
    )


def _documents(view: StudyView, best: Best, asked: Mapping[str, str]) -> tuple[BestDocument, ...]:
    address = f"/api/v1/studies/{view.id}/best"
    as_json = f"{address}?{urlencode(asked)}" if asked else address
    as_yaml = f"{address}?{urlencode({**asked, 'format': 'yaml'})}"
    return (
        BestDocument("JSON", best.model_dump_json(indent=2), as_json),
        BestDocument("YAML", yaml_core.dump(best.model_dump(mode="json")), as_yaml),
    )


def _fetch(view: StudyView, metric: str | None) -> str:
    study = str(view.id) if view.name.isdecimal() else view.name
    chosen = f" --objective {quote(metric)}" if metric else ""
    return f"segtune best {study}{chosen} -o best.json"


def _recipe(view: StudyView, best: Best) -> tuple[facts.Difference, ...]:
    """Searched params of the best trial beside the base recipe's."""
    base = flatten(resolve(view.spec.base, view.spec.dataset, {}).model_dump(mode="json"))
    return facts.differences(best.params, {path: base.get(path) for path in best.params})
