"""The searches that this process keeps warm: one `Suggester` per study, fed from our rows."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from sqlalchemy.orm import Session

from tuner.search.analysis import violations
from tuner.search.observation import Observation
from tuner.search.suggest import Draw, Suggester
from tuner.service.rows import objective_values
from tuner.spec.states import TrialState
from tuner.spec.study import StudySpec
from tuner.store import reports, trials
from tuner.store.engine import on_rollback
from tuner.store.tables import Study, Trial

KEPT = 32  # studies; a suggester of 10,000 trials takes some 50 MB


class Searches:
    """Suggesters by study. Losing one costs a reload: all is in the store."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, _Search] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, session: Session, study: Study, spec: StudySpec) -> Draw:
        """Params for the next trial of a locked study."""
        search = self._search(study, spec)
        # It may have seen rows that others of this transaction wrote: they go with it.
        on_rollback(session, partial(self._forget, study.id))
        with search.lock:
            return search.draw(session, study)

    def _forget(self, study_id: int) -> None:
        with self._lock:
            self._kept.pop(study_id, None)

    def _search(self, study: Study, spec: StudySpec) -> "_Search":
        with self._lock:
            search = self._kept.get(study.id)
            if search is None or search.spec != spec:
                search = self._kept[study.id] = _Search(spec)
            self._kept.move_to_end(study.id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return search


class _Search:
    def __init__(self, spec: StudySpec) -> None:
        self.spec = spec
        self.lock = threading.Lock()
        self._suggester = Suggester(spec)
        self._revision = 0

    def draw(self, session: Session, study: Study) -> Draw:
        """Feed what changed since the last draw, then draw."""
        changed = trials.changed_since(session, study, self._revision)
        draw = self._suggester.draw(observe(session, self.spec, changed), study.drawn)
        self._revision = study.event_seq
        return draw


def observe(session: Session, spec: StudySpec, changed: Sequence[Trial]) -> tuple[Observation, ...]:
    """Trials as the search sees them; those that confirm a leader are none of its affair."""
    changed = [trial for trial in changed if trial.source != trials.CONFIRM]
    ended = [trial.id for trial in changed if trial.state in {TrialState.PRUNED, TrialState.PAUSED}]
    steps = reports.values_of(session, ended) if ended else {}
    return tuple(
        Observation(
            number=trial.number,
            state=TrialState(trial.state),
            params=trial.params,
            values=objective_values(spec, trial.metrics),
            steps=steps.get(trial.id, {}),
            attrs=trial.attrs,
            constraints=violations(spec.constraints, trial.metrics),
            fits=trial.error_kind != "out_of_memory",
        )
        for trial in changed
    )
