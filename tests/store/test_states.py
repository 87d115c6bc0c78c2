"""Whatever workers, users, time and retries do: no number is lost or made up, and every move of a
state is legal. Hypothesis drives the use cases against a small model of what must hold."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.samples import spec
from tests.store.story import assert_story_is_legal
from tuner.errors import Conflict, LeaseLost
from tuner.service import overview, retries, studies, upkeep
from tuner.spec.messages import Action, Assignment, OutcomeKind
from tuner.spec.states import StudyState, TrialState
from tuner.spec.views import StudyChange
from tuner.store.engine import Database

EPOCHS = 3
ENDINGS = [
    OutcomeKind.COMPLETED,
    OutcomeKind.FAILED,
    OutcomeKind.YIELDED,
    OutcomeKind.CRASHED,
    OutcomeKind.STOPPED,
    OutcomeKind.PAUSED,
    OutcomeKind.PRUNED,
]
NAMES = itertools.count()
PICK = st.integers(min_value=0, max_value=99)


@dataclass
class Lease:
    """A lease as its worker sees it."""

    assignment: Assignment
    expires_at: Any


@dataclass
class Model:
    """What must be in the store."""

    held: list[Lease] = field(default_factory=list)
    ended: list[Assignment] = field(default_factory=list)
    values: dict[int, list[float]] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    """A study of four trials and two confirmations, three workers, and all that can go wrong."""

    db: Database
    clock: Clock

    @initialize()
    def submit(self) -> None:
        """Queue a study of its own; earlier examples' studies stay in the database."""
        self.fleet = Fleet(self.db)
        self.name = f"study-{next(NAMES)}"
        self.model = Model()
        search: dict[str, Any] = {"sampler": "random", "pruner": "none", "trials": 4, "parallel": 3}
        search["confirm"] = {"top": 2, "seeds": 1}
        self.fleet.submit(spec(self.name, epochs=EPOCHS, search=search, resources={"attempts": 2}))

    @rule(worker=st.sampled_from(["w1", "w2", "w3"]))
    def take(self, worker: str) -> None:
        """A worker takes a trial, which nobody else holds and which has lost no step."""
        assignment = self.fleet.ask(worker, study=self.name)
        if assignment is None:
            return
        assert assignment.trial not in [lease.assignment.trial for lease in self.model.held]
        assert assignment.last_step == len(self.model.values.setdefault(assignment.trial, []))
        self.model.held.append(Lease(assignment, assignment.expires_at))

    @precondition(lambda self: self.model.held)
    @rule(pick=PICK, value=st.floats(min_value=0, max_value=1), again=st.booleans())
    def report(self, pick: int, value: float, again: bool) -> None:
        """A holder reports its next step, or sends the last one again."""
        lease = self.model.held[pick % len(self.model.held)]
        values = self.model.values[lease.assignment.trial]
        step = len(values) if again else len(values) + 1
        if not 1 <= step <= EPOCHS:
            return
        status = self.fleet.report(lease.assignment, step, value=value)
        assert status.stored == (0 if again else 1)
        lease.expires_at = status.expires_at
        if not again:
            values.append(value)

    @precondition(lambda self: self.model.held)
    @rule(pick=PICK)
    def heartbeat(self, pick: int) -> None:
        """A holder renews its lease."""
        lease = self.model.held[pick % len(self.model.held)]
        lease.expires_at = self.fleet.heartbeat(lease.assignment).expires_at

    @precondition(lambda self: self.model.held)
    @rule(pick=PICK, kind=st.sampled_from(ENDINGS))
    def finish(self, pick: int, kind: OutcomeKind) -> None:
        """A holder ends its lease; it stops only when told, and completion needs every step."""
        lease = self.model.held[pick % len(self.model.held)]
        status = self.fleet.heartbeat(lease.assignment)
        lease.expires_at = status.expires_at
        if kind is OutcomeKind.STOPPED and status.verdict.action is not Action.STOP:
            return
        complete = len(self.model.values[lease.assignment.trial]) == EPOCHS
        if kind is OutcomeKind.COMPLETED and not complete:
            with pytest.raises(Conflict):
                self.fleet.finish(lease.assignment, kind)
            return
        self.fleet.finish(lease.assignment, kind)
        self.model.held.remove(lease)
        self.model.ended.append(lease.assignment)

    @precondition(lambda self: self.model.ended)
    @rule(pick=PICK)
    def write_stale(self, pick: int) -> None:
        """A worker whose lease has ended can change nothing."""
        stale = self.model.ended[pick % len(self.model.ended)]
        with pytest.raises(LeaseLost):
            self.fleet.report(stale, 1)
        with pytest.raises(LeaseLost):
            self.fleet.heartbeat(stale)

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS - 1, LEASE_SECONDS + 1]))
    def let_time_pass(self, seconds: float) -> None:
        """Time passes, and a server looks for leases that ran out."""
        now = self.clock.advance(seconds)
        lost = [lease for lease in self.model.held if lease.expires_at < now]
        upkeep.run(self.db)
        self.model.held = [lease for lease in self.model.held if lease not in lost]
        self.model.ended += [lease.assignment for lease in lost]

    @rule(state=st.sampled_from(["paused", "running", "running", "cancelled"]))
    def steer(self, state: Any) -> None:
        """A user pauses, resumes or cancels; what is not allowed is refused."""
        now = overview.study(self.db, self.name).state
        target = StudyState(state)
        if now.may_become(target) or (now is StudyState.QUEUED and state == "running"):
            studies.change(self.db, self.name, StudyChange(state=state))
        else:
            with pytest.raises(Conflict):
                studies.change(self.db, self.name, StudyChange(state=state))

    @rule(pick=PICK)
    def cancel_trial(self, pick: int) -> None:
        """A user cancels one trial."""
        numbers = sorted(self.model.values)
        if not numbers:
            return
        number = numbers[pick % len(numbers)]
        if overview.trial(self.db, self.name, number).state.has_ended:
            with pytest.raises(Conflict):
                studies.cancel_trial(self.db, self.name, number)
        else:
            studies.cancel_trial(self.db, self.name, number)

    @rule(pick=PICK)
    def retry_trial(self, pick: int) -> None:
        """A user has a failed trial tried again; any other is refused, as is an ended study."""
        numbers = sorted(self.model.values)
        if not numbers:
            return
        number = numbers[pick % len(numbers)]
        has_failed = overview.trial(self.db, self.name, number).state is TrialState.FAILED
        is_over = overview.study(self.db, self.name).state in {
            StudyState.CANCELLED,
            StudyState.FAILED,
        }
        if has_failed and not is_over:
            retries.retry(self.db, self.name, number)
        else:
            with pytest.raises(Conflict):
                retries.retry(self.db, self.name, number)

    @invariant()
    def running_trials_are_held(self) -> None:
        """A trial runs exactly while somebody holds its lease."""
        if not hasattr(self, "model"):
            return
        page = overview.trials(self.db, self.name)
        running = {trial.number for trial in page.items if trial.state is TrialState.RUNNING}
        assert running == {lease.assignment.trial for lease in self.model.held}

    @invariant()
    def reports_are_what_was_sent(self) -> None:
        """Every accepted value is in the store, and nothing else is."""
        if not hasattr(self, "model"):
            return
        for number, values in self.model.values.items():
            stored = overview.steps(self.db, self.name, number)
            assert [step.metrics["miou"] for step in stored] == values

    def teardown(self) -> None:
        """The story that the events tell is gapless, and each of its moves is legal."""
        assert_story_is_legal(overview.events(self.db, self.name, limit=10_000))


def test_no_history_breaks_the_promises(clocked_database: Database, clock: Clock) -> None:
    """Random histories of takes, reports, endings, losses and users' changes keep every promise."""
    machine = type("Machine", (Machine,), {"db": clocked_database, "clock": clock})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
