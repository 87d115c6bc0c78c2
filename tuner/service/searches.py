"""The searches that this process keeps warm, one for each study, fed from our rows."""

import logging
import threading
import time
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from typing import TypeGuard

from sqlalchemy.orm import Session

from tuner.search.analysis import known_violations, violations
from tuner.search.curve_table import CurveTable
from tuner.search.judge import donors, judge, promotion, unreliable
from tuner.search.learning_curve import LearningCurve
from tuner.search.observation import Observation
from tuner.search.rules import Rules, load_default
from tuner.search.suggest import Draw, Suggester
from tuner.search.transfer import SourceTrial
from tuner.service import transfers
from tuner.service.documents import DAMAGED
from tuner.service.turns import DrawingTurn
from tuner.spec.kinds import UNTRAINABLE
from tuner.spec.messages import Verdict
from tuner.spec.states import TrialSource, TrialState
from tuner.spec.study import StudySpec
from tuner.spec.versions import DataVersions, is_comparable
from tuner.store import hot, lineage, observed
from tuner.store.engine import on_rollback
from tuner.store.held import Seen
from tuner.store.observed import History, Since
from tuner.store.tables import Study, Trial

logger = logging.getLogger(__name__)
KEPT = 32  # studies; a search of 10,000 trials takes some 50 MB
Background = Callable[[Callable[[], None]], object]  # has a task done, soon, by another thread


def load_samplers() -> None:
    """Import what the default search draws by, before somebody waits for it."""
    load_default()


class Searches:
    """What the search knows, by study. Losing one costs a reload: all is in the store.

    `background` gets what nobody waits for; by default that is not done at all. `clock` gives
    seconds, of which only differences count.
    """

    def __init__(
        self,
        background: Background = lambda task: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.background = background
        self._kept: OrderedDict[tuple[int, str | None], Search] = OrderedDict()
        self._lock = threading.Lock()
        self._turns: defaultdict[int, DrawingTurn] = defaultdict(lambda: DrawingTurn(clock))

    def turn(self, study_id: int) -> DrawingTurn:
        """The study's, of which a slow sampler asks."""
        with self._lock:
            return self._turns[study_id]

    @contextmanager
    def of(
        self,
        session: Session,
        study: Study,
        rules: Rules,
        *,
        version: str | None = None,
        may_lag: bool = False,
    ) -> Iterator["Search"]:
        """The search of a locked study, having seen all that the transaction can see.

        It knows trials on one version of the data: the one asked for, or the one that is ranked.
        With `may_lag` it lacks what others of the same group report at this moment.
        """
        version = version or DataVersions.of(study.data_versions).ranked
        search = self._find(session, study, rules, version)
        # It may have seen rows that others of this transaction wrote: they go with it.
        on_rollback(session, partial(self._forget, study.id))
        with search.lock:
            search.look(session, study, may_lag=may_lag)
            yield search

    def since(self, study_id: int, rules: Rules) -> Since:
        """What the study's search has to read before it may draw."""
        with self._lock:
            known = [search.revision for key, search in self._kept.items() if key[0] == study_id]
        return since(rules, min(known, default=0))

    def took(self, session: Session, study: Study, trial: Trial, *, since: int) -> None:
        """Take in a locked study's trial that was just handed out, if it is a new one.

        So the next of a group of draws need not read it back from the database. `since` is the
        study's last event before the trial was chosen.
        """
        on_rollback(session, partial(self._forget, study.id))
        with self._lock:
            kept = [search for key, search in self._kept.items() if key[0] == study.id]
        for search in kept:
            with search.lock:
                search.put(study, trial, since=since)

    def _forget(self, study_id: int) -> None:
        with self._lock:
            for key in [key for key in self._kept if key[0] == study_id]:
                del self._kept[key]

    def _find(self, session: Session, study: Study, rules: Rules, version: str | None) -> "Search":
        key = (study.id, version)
        with self._lock:
            search = self._kept.get(key)
            if search is None or search.rules != rules:
                earlier = transfers.earlier(session, rules.spec)
                search = self._kept[key] = Search(rules, earlier, version=version)
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return search


@dataclass(frozen=True, slots=True)
class _Ready:
    """A draw that was made before its transaction, of what the study was after an event."""

    draw: Draw
    number: int
    revision: int


class Search:
    """One study's trials in memory, as draws, verdicts and promotions need them."""

    def __init__(
        self,
        rules: Rules,
        earlier: Sequence[Sequence[SourceTrial]] = (),
        *,
        version: str | None = None,
    ) -> None:
        self.rules = rules
        self._version = version
        self.lock = threading.Lock()
        self.table = CurveTable()
        self._suggester = Suggester(rules, earlier)
        self._drawing = threading.Lock()
        self._unseen: deque[Observation] = deque()
        self._ready: _Ready | None = None
        self._revision = 0

    @property
    def revision(self) -> int:
        """The last event of the study that was taken in."""
        return self._revision

    @property
    def since(self) -> Since:
        """What it would read to know everything."""
        return since(self.rules, self._revision)

    def look(self, session: Session, study: Study, *, may_lag: bool = False) -> None:
        """Take in what changed since the last look; the caller holds the lock.

        With `may_lag` what the transaction read at its beginning will do, if it has.
        """
        if study.event_seq == self._revision:
            return
        history = hot.batch_of(session).histories.get(study.id) if may_lag else None
        if history is None or history.after > self._revision:
            hot.write(session)
            history = observed.changed(session, study, self.since)
        if history.upto > self._revision:
            for seen in observations(history, study.name, self.rules, self._version):
                self._put(seen)
        # A reader may come late, with a row that others have changed since.
        self._revision = max(self._revision, history.upto)

    def put(self, study: Study, trial: Trial, *, since: int) -> None:
        """Take in a trial without reports that was just handed out; the caller has the lock."""
        if not trial.step and trial.source != TrialSource.CONFIRM:
            self._put(_observation(trial, self.rules.spec, {}))
            if self._revision == since:  # all before it is known
                self._revision = study.event_seq

    def _put(self, seen: Observation) -> None:
        self._unseen.append(seen)
        self.table.put(_curve(seen))

    def draw(self, number: int, *, latest: bool = True) -> Draw:
        """Params for the trial of that number: those that are ready, if they hold, or new ones.

        With `latest` those hold only if they have seen everything. Otherwise workers train, whose
        reports wait for a new draw, so that it is a quick one. If another one is being made, it
        comes after that.
        """
        ready, self._ready = self._ready, None
        if _holds(ready, number, self._revision, latest=latest):
            return ready.draw
        return self._drawn(number, quick=not latest)

    def prepare(self, number: int, revision: int, *, latest: bool) -> None:
        """Have the draw of that number ready; the caller has the study's turn, and no lock."""
        if not _holds(self._ready, number, revision, latest=latest):
            self._ready = _Ready(self._drawn(number, quick=False), number, revision)

    def _drawn(self, number: int, *, quick: bool) -> Draw:
        with self._drawing:
            seen = [self._unseen.popleft() for _ in range(len(self._unseen))]
            return self._suggester.draw(seen, number, quick=quick)

    def judge(self, number: int, step: int, *, closing: bool) -> Verdict:
        """The verdict on a trial after a step; without a value there, its value is not a number."""
        curve = self.table.of(number)
        if step not in curve.values:
            curve = replace(curve, values={**curve.values, step: nan})
        return judge(self.rules, curve, self.table, closing=closing)

    def warnings(self) -> dict[str, str]:
        """What the owner should know of the rungs, by rung."""
        found = unreliable(self.rules, self.table)
        return {f"rung {one.step}": one.describe() for one in found}

    def promotion(self, *, closing: bool) -> tuple[int, str] | None:
        """The paused trial to go on with, and why, if there is one."""
        return promotion(self.rules, self.table, closing=closing)

    def donors(self, number: int) -> tuple[int, ...]:
        """The trials of which a copy may take a paused one's place, the best first."""
        return donors(self.rules, self.table, number, closing=True)


def _holds(ready: _Ready | None, number: int, revision: int, *, latest: bool) -> TypeGuard[_Ready]:
    """Whether a draw is of that number, and knows all that it has to."""
    if ready is None or ready.number != number:
        return False
    return ready.revision == revision or not latest


def curves(session: Session, study: Study, rules: Rules) -> list[LearningCurve]:
    """The learning curve of every trial of a study, as a fresh search would see them."""
    version = DataVersions.of(study.data_versions).ranked
    return [_curve(seen) for seen in observe(session, study, rules, version)]


def _curve(seen: Observation) -> LearningCurve:
    return LearningCurve(seen.number, seen.state, seen.steps, seen.others, seen.pace)


def since(rules: Rules, revision: int) -> Since:
    """What a search of the study reads, from an event on."""
    steps, spec = rules.judged_steps, rules.spec
    return Since(
        revision,
        tuple(objective.metric for objective in spec.objectives),
        None if steps is None else steps | {spec.most_epochs},
        spec.objective.counts_best,
    )


def observe(
    session: Session, study: Study, rules: Rules, version: str | None = None
) -> tuple[Observation, ...]:
    """Trials of a study as a new search sees them, by number."""
    history = observed.changed(session, study, since(rules, 0))
    return observations(history, study.name, rules, version)


def observations(
    history: History, study: str, rules: Rules, version: str | None
) -> tuple[Observation, ...]:
    """Trials as the search sees them, by number.

    Those that confirm a leader are left out. Of those on another version of the data
    it sees that they exist, and no value.
    """
    found = list[Observation]()
    for trial in history.trials:
        if trial.source == TrialSource.CONFIRM:
            continue
        try:
            if is_comparable(trial.data_version, version):
                steps = _comparable(trial, rules, history.steps.get(trial.number, {}))
                found.append(_observation(trial, rules.spec, steps))
            else:
                state = TrialState(trial.state)
                attrs = lineage.of_samplers(trial)
                found.append(Observation(trial.number, state, trial.params, attrs=attrs))
        except DAMAGED as error:
            logger.warning("trial %s of %s is not searched by: %s", trial.number, study, error)
    return tuple(found)


def _comparable(
    trial: Seen, rules: Rules, reported: dict[int, tuple[float, ...]]
) -> dict[int, tuple[float, ...]]:
    """Values by step that other trials' may be held against.

    Where rungs are trainings of their own, the base recipe has none: it is trained once, fully.
    """
    if trial.source != TrialSource.BASE or not rules.is_staged:
        return reported
    return {step: values for step, values in reported.items() if step == trial.epochs}


def _observation(
    trial: Seen | Trial, spec: StudySpec, reported: Mapping[int, tuple[float, ...]]
) -> Observation:
    values = spec.objective_values(trial.metrics)
    return Observation(
        number=trial.number,
        state=TrialState(trial.state),
        params=trial.params,
        values=None if values is None else tuple(map(float, values)),
        steps={step: values[0] for step, values in reported.items()},
        others={step: values[1:] for step, values in reported.items() if values[1:]},
        attrs=lineage.of_samplers(trial),
        pace=trial.seconds / trial.step if trial.step else 0.0,
        constraints=_violations(trial, spec),
        trainable=trial.error_kind not in UNTRAINABLE,
    )


def _violations(trial: Seen | Trial, spec: StudySpec) -> tuple[float, ...]:
    """How far a trial that has ended misses each bound, as far as that can be said.

    A bound that an unfinished training does not keep may be kept by its end; but what a network
    costs was known before it began.
    """
    if trial.state == TrialState.COMPLETED:
        return violations(spec.constraints, trial.metrics)
    if not spec.measured_constraints or not TrialState(trial.state).has_ended:
        return ()
    return known_violations(spec.constraints, trial.metrics)
