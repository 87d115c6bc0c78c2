"""fANOVA of studies: computed in the background, kept until a study has grown by a tenth."""

import threading
from collections import OrderedDict
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from math import log

from tuner.errors import InvalidInput, NotFound, Problem
from tuner.service import importance
from tuner.service.searches import Background
from tuner.spec.states import StudyState
from tuner.spec.views import ImportanceView
from tuner.store import studies
from tuner.store.engine import Database

_KEPT = 64
_LACKING = (
    "fanova needs scikit-learn, which this server does not have; "
    "install segtune[insight] there, or use ped_anova"
)
_Key = tuple[int, datetime, int, str | None, str | None]


class Forests:
    """What fANOVA found, by study, size and metric; losing it costs seconds."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._found: OrderedDict[_Key, ImportanceView] = OrderedDict()
        self._ordered: set[_Key] = set()
        self._lock = threading.Lock()

    @property
    def are_possible(self) -> bool:
        """Whether this server has scikit-learn."""
        return find_spec("sklearn") is not None

    def importance(
        self,
        db: Database,
        study: int | str,
        *,
        objective: str | None = None,
        direction: str | None = None,
    ) -> ImportanceView:
        """fANOVA's shares if they are there; else PED-ANOVA's, while those are computed.

        Raises:
            NotFound: no such study.
            InvalidInput: no metric is called so, or this server lacks scikit-learn.
        """
        if not self.are_possible:
            raise InvalidInput([Problem(("method",), _LACKING)])
        key = _key(db, study, objective, direction)
        with self._lock:
            found = self._found.get(key)
        if found is not None:
            return found
        meanwhile = importance.ped_anova(db, study, objective=objective, direction=direction)
        with self._lock:
            is_new = key not in self._ordered
            self._ordered.add(key)
        if is_new:
            self._background(partial(self._compute, db, key))
        return meanwhile.model_copy(update={"state": "computing"})

    def _compute(self, db: Database, key: _Key) -> None:
        study, _, _, objective, direction = key
        try:
            found = importance.fanova(db, study, objective=objective, direction=direction)
            with self._lock:
                self._found[key] = found
                while len(self._found) > _KEPT:
                    self._found.popitem(last=False)
        except NotFound:
            return  # deleted since
        finally:
            with self._lock:
                self._ordered.discard(key)


def _key(db: Database, study: int | str, objective: str | None, direction: str | None) -> _Key:
    """What a result is about; a study that has ended is looked at once more, as it ended."""
    with db.reading() as session:
        row = studies.find(session, study)
    told = row.event_seq
    size = -told if StudyState(row.state).has_ended else int(log(told + 1, 1.1))
    return row.id, row.created_at, size, objective, direction
