"""Importance on a study's page: looked at again only when the study has grown by a tenth.

The page asks for it once it is there: the first look of a server imports for seconds.
"""

import threading
from collections import OrderedDict
from datetime import datetime
from math import log
from typing import Any, Literal

from api.dashboard.format import short_paths
from tuner.service import importance, overview
from tuner.service.forests import Forests
from tuner.service.storage import Database
from tuner.spec.views import ImportanceView, StudyView

_KEPT = 64
_FEWEST = 10  # trials; shares of fewer change with every one that ends
Method = Literal["ped_anova", "fanova"]
_Key = tuple[str, int, datetime, int]
_known: OrderedDict[_Key, ImportanceView] = OrderedDict()
_lock = threading.Lock()


def panel(db: Database, forests: Forests, study: int | str, method: Method) -> dict[str, Any]:
    """Context of the template `importance.html`. Raises NotFound."""
    view = overview.study(db, study)
    found = _near_the_best(db, view)
    if found and method == "fanova" and forests.are_possible:
        found = forests.importance(db, view.id)
    return {
        "study": view,
        "importance": found,
        "columns": short_paths(tuple(view.spec.space.root)),
        "method": method,
        "has_forests": forests.are_possible,
    }


def _near_the_best(db: Database, view: StudyView) -> ImportanceView | None:
    """Shares of the searched params; None while there is no telling."""
    done = view.counts.ended + view.counts.paused
    if done < _FEWEST or len(view.spec.space.root) < 2:
        return None
    growth = done if view.state.has_ended else int(log(done, 1.1))
    key = (db.url, view.id, view.created_at, growth)
    with _lock:
        found = _known.get(key)
    if found is None:
        found = importance.ped_anova(db, view.id)
        with _lock:
            _known[key] = found
            while len(_known) > _KEPT:
                _known.popitem(last=False)
    return found if found.shares and found.trials >= _FEWEST else None
