"""Whatever workers do, a study ends, and within its budget."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tests.store.story import assert_story_is_legal
from tuner.service import overview, upkeep
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import StudyState, TrialSource, TrialState
from tuner.store import artifacts, studies, trials
from tuner.store.artifacts import Stored, Upload
from tuner.store.engine import Database

EPOCHS, TRIALS, WORKERS = 9, 7, 3
SEARCHES: dict[str, dict[str, Any]] = {
    "promote": {"pruner": {"name": "promote", "eta": 2, "min_step": 2}},
    "promote on data": {"pruner": {"name": "promote", "eta": 2, "min_step": 2}, "fidelity": "data"},
    "hyperband": {"pruner": {"name": "hyperband", "eta": 2, "min_step": 2}},
    "asha": {"pruner": {"name": "asha", "eta": 2, "min_step": 2}},
    "median": {"pruner": {"name": "median"}},
    "pbt": {"sampler": {"name": "pbt", "interval": 2, "share": 0.3}},
}
MOVES = st.tuples(
    st.integers(0, WORKERS - 1),
    st.sampled_from(["train", "train", "train", "yield", "vanish", "crash"]),
    st.floats(0, 1),
)


@dataclass
class Town:
    """Workers that do what they are told to, and what each of them holds."""

    fleet: Fleet
    name: str
    clock: Clock
    held: dict[int, Assignment] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)

    def move(self, worker: int, what: str, value: float) -> bool:
        """One worker's next deed; False if there was nothing for it to do."""
        if worker not in self.held:
            held = self.fleet.ask(f"w{worker}", study=self.name)
            if held is None:
                return False
            self.held[worker], self.steps[worker] = held, held.last_step
        elif what == "train":
            self._train(worker, value)
        elif what == "vanish":
            self.clock.advance(LEASE_SECONDS + 1)
            upkeep.run(self.fleet.db)
            self.held.clear()
        else:
            self._end(worker, OutcomeKind.YIELDED if what == "yield" else OutcomeKind.CRASHED)
        return True

    def drain(self) -> None:
        """Everybody trains until there is nothing left."""
        idle = 0
        while idle < WORKERS:
            for worker in range(WORKERS):
                idle = 0 if self.move(worker, "train", 0.4 + worker / 10) else idle + 1

    def _train(self, worker: int, value: float) -> None:
        held = self.held[worker]
        self.steps[worker] += 1
        step = self.steps[worker]
        action = self.fleet.report(held, step, value=round(value, 3)).verdict.action
        self._save(held, step)
        endings = {
            Action.PAUSE: OutcomeKind.PAUSED,
            Action.PRUNE: OutcomeKind.PRUNED,
            Action.STOP: OutcomeKind.STOPPED,
        }
        if step == EPOCHS:
            self._end(worker, OutcomeKind.COMPLETED)
        elif action in endings:
            self._end(worker, endings[action])
        else:
            assert step < (held.steps or EPOCHS)

    def _end(self, worker: int, kind: OutcomeKind) -> None:
        self.fleet.finish(self.held.pop(worker), kind)

    def _save(self, held: Assignment, step: int) -> None:
        with self.fleet.db.transaction() as session:
            trial = trials.find(session, studies.find(session, held.study), held.trial)
            artifacts.drop(session, artifacts.checkpoints(session, trial.id))
            stored = Stored(f"{trial.id:032x}{step:032x}", 3)
            upload = Upload("checkpoint.pt", "checkpoint", step, stored)
            artifacts.add(session, trial, upload, now=self.fleet.db.now())


@pytest.mark.parametrize("search", SEARCHES)
def test_a_study_ends_within_its_budget(
    clocked_database: Database, clock: Clock, search: str
) -> None:
    """Lost, crashed and yielding workers cost attempts, never trials, and starve nobody."""

    @given(moves=st.lists(MOVES, max_size=40))
    @settings(
        max_examples=3,
        phases=[Phase.generate],  # shrinking takes minutes
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def holds(moves: list[tuple[int, str, float]]) -> None:
        name = f"{search.replace(' ', '-')}-{len(overview.studies(clocked_database).items)}"
        town = Town(Fleet(clocked_database), name, clock)
        settings = {"sampler": "random", "trials": TRIALS, "parallel": WORKERS, **SEARCHES[search]}
        document = spec(name, epochs=EPOCHS, search=settings, resources={"attempts": 1000})
        town.fleet.submit(document)
        for move in moves:
            town.move(*move)
        town.drain()

        view = overview.study(clocked_database, name)
        seen = overview.trials(clocked_database, name, limit=100).items
        assert view.state is StudyState.FINISHED
        assert TRIALS == sum(trial.source is not TrialSource.COPY for trial in seen)
        assert {trial.state for trial in seen} <= {TrialState.COMPLETED, TrialState.PRUNED}
        assert view.epochs <= TRIALS * EPOCHS
        assert TrialState.COMPLETED in {trial.state for trial in seen}
        assert_story_is_legal(overview.events(clocked_database, name, limit=10_000))

    holds()
