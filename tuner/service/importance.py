"""Which params of a study mattered: computed when asked, and kept until the study has grown."""

import threading
from collections import OrderedDict
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from math import log
from typing import Literal, NamedTuple

from tuner.errors import InvalidInput, NotFound, Problem
from tuner.search.importance import fanova as variance_of
from tuner.search.importance import importance as shares_of
from tuner.service.comparisons import comparison
from tuner.service.searches import Background
from tuner.spec.states import StudyState
from tuner.spec.views import ImportanceView
from tuner.store import studies as study_rows
from tuner.store.engine import Database

_MOST = 600  # trials to look at, evenly spread over the study: a fifth of a second
_MOST_IN_FOREST = 300  # two to three seconds
_KEPT = 64
_LACKING = (
    "fanova needs scikit-learn, which this server does not have; "
    "install segtune[insight] there, or use ped_anova"
)
Method = Literal["ped_anova", "fanova"]


class _Key(NamedTuple):
    """What a view is about; `growth` changes when the study has grown by a tenth, or ended."""

    method: Method
    study: int
    created_at: datetime
    growth: int
    objective: str | None
    direction: str | None


class ImportanceCache:
    """Views of importance by method, study and metric, until the study has grown by a tenth.

    PED-ANOVA takes a fraction of a second and is computed when it is asked for; fANOVA takes
    seconds and is computed in the background. Losing a view costs that time.
    """

    def __init__(self, background: Background) -> None:
        self._background = background
        self._found: OrderedDict[_Key, ImportanceView] = OrderedDict()
        self._ordered: set[_Key] = set()
        self._lock = threading.Lock()

    @property
    def has_fanova(self) -> bool:
        """Whether this server has scikit-learn."""
        return find_spec("sklearn") is not None

    def ped_anova(self, db: Database, study: int | str) -> ImportanceView:
        """PED-ANOVA's shares for the study's objectives. Raises NotFound."""
        key = _key(db, "ped_anova", study)
        return self._known(key) or self._keep(key, ped_anova(db, key.study))

    def fanova(
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
        if not self.has_fanova:
            raise InvalidInput([Problem(("method",), _LACKING)])
        key = _key(db, "fanova", study, objective, direction)
        if found := self._known(key):
            return found
        meanwhile = ped_anova(db, study, objective=objective, direction=direction)
        with self._lock:
            is_new = key not in self._ordered
            self._ordered.add(key)
        if is_new:
            self._background(partial(self._compute, db, key))
        return meanwhile.model_copy(update={"state": "computing"})

    def _compute(self, db: Database, key: _Key) -> None:
        try:
            self._keep(key, fanova(db, key.study, objective=key.objective, direction=key.direction))
        except NotFound:
            return  # deleted since
        finally:
            with self._lock:
                self._ordered.discard(key)

    def _known(self, key: _Key) -> ImportanceView | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def _keep(self, key: _Key, view: ImportanceView) -> ImportanceView:
        with self._lock:
            self._found[key] = view
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return view


def _key(
    db: Database,
    method: Method,
    study: int | str,
    objective: str | None = None,
    direction: str | None = None,
) -> _Key:
    """The key of a view; a study that has ended is looked at once more, as it ended."""
    with db.reading() as session:
        row = study_rows.find(session, study)
    events = row.event_seq
    growth = -events if StudyState(row.state).has_ended else int(log(events + 1, 1.1))
    return _Key(method, row.id, row.created_at, growth, objective, direction)


def ped_anova(
    db: Database, study: int | str, *, objective: str | None = None, direction: str | None = None
) -> ImportanceView:
    """How much each param decides whether a trial is among the best tenth, by PED-ANOVA.

    Trials are compared at the highest rung that enough of them reached: those that were stopped
    there count like those that went on. Where epochs are searched, each counts at its own end.
    With several objectives and none asked for, the best are those nearest to the Pareto front.

    Raises:
        NotFound: no such study.
        InvalidInput: no metric is called so.
    """
    compared = comparison(db, study, objective, direction, most=_MOST)
    return ImportanceView(
        objectives=compared.spec.objectives,
        epoch=compared.step,
        trials=len(compared.trials),
        shares=shares_of(compared.spec, compared.trials),
    )


def fanova(
    db: Database, study: int | str, *, objective: str | None = None, direction: str | None = None
) -> ImportanceView:
    """How much of an objective's variance each param explains by itself; seconds of work.

    Trials are compared as in `ped_anova`. It is about one metric: the first objective unless
    another is asked for.

    Raises:
        NotFound: no such study.
        InvalidInput: no metric is called so.
    """
    compared = comparison(db, study, objective, direction, most=_MOST_IN_FOREST)
    return ImportanceView(
        method="fanova",
        objectives=compared.spec.objectives[:1],
        epoch=compared.step,
        trials=len(compared.trials),
        shares=variance_of(compared.spec, compared.trials),
    )
