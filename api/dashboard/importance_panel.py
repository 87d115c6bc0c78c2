"""Importance on a study's page, which asks for it once it is there: a first look takes seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

from tuner.service import overview
from tuner.service.importance import ImportanceCache, Method
from tuner.service.storage import Database
from tuner.spec.views import ImportanceView, StudyView
from tuner.wording import short_paths

_FEWEST = 10  # trials; shares of fewer change with every one that ends


@dataclass(frozen=True, slots=True)
class ImportancePanel:
    """Context of the template `importance.html`; `columns` are the params' short names."""

    study: StudyView
    importance: ImportanceView | None
    columns: Mapping[str, str]
    method: Method
    has_fanova: bool


def importance_panel(
    db: Database, cache: ImportanceCache, study: int | str, method: Method
) -> ImportancePanel:
    """Which params of a study mattered, as far as enough trials have ended. Raises NotFound."""
    view = overview.study(db, study)
    found = _near_the_best(db, cache, view)
    if found and method == "fanova" and cache.has_fanova:
        found = cache.fanova(db, view.id)
    return ImportancePanel(
        study=view,
        importance=found,
        columns=short_paths(tuple(view.spec.space.root)),
        method=method,
        has_fanova=cache.has_fanova,
    )


def _near_the_best(db: Database, cache: ImportanceCache, view: StudyView) -> ImportanceView | None:
    """PED-ANOVA's shares; None while too few trials have ended."""
    if view.counts.ended + view.counts.paused < _FEWEST or len(view.spec.space.root) < 2:
        return None
    found = cache.ped_anova(db, view.id)
    return found if found.shares and found.trials >= _FEWEST else None
