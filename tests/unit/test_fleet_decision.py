from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.spec.fleet import QueueEntry, QueueView, Why, WorkerState, WorkerView
from tuner.spec.messages import Capabilities
from tuner.spec.states import StudyState
from workers.fleet.contract import FleetMember
from workers.fleet.decision import GRACE, FleetPlan, FleetRecord, Sight, decide
from workers.fleet.settings import FleetSettings

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def settings(**values: Any) -> FleetSettings:
    """A fleet of at most eight that shrinks after a minute."""
    given: dict[str, Any] = {"max": 8, "cooldown": 60, **values}
    return FleetSettings(**given)


def seen(name: str, state: WorkerState, running: int = 0) -> WorkerView:
    """A worker as the server shows it."""
    return WorkerView(
        name=name,
        state=state,
        running=running or state in {"busy", "draining"},
        drained_at=LONG_AGO if state in {"draining", "drained"} else None,
        capabilities=Capabilities(),
        first_seen_at=LONG_AGO,
        last_seen_at=LONG_AGO,
    )


def queue(ready: int, why: Why = Why.BUSY) -> QueueView:
    """A queue of one study."""
    entry = QueueEntry(
        place=1, study="s", study_id=1, state=StudyState.RUNNING, priority=0, weight=1,
        waiting=0, running=0, paused=0, left=ready, ready=ready, parallel=1000, share=0,
        why=why, reason="",
    )  # fmt: skip
    return QueueView(entries=(entry,), workers=0, free=())


def sight(now: float, ready: int, **workers: WorkerState) -> Sight:
    """Members by name, each in a state."""
    return Sight(
        now,
        [FleetMember(name) for name in workers],
        {name: seen(name, state) for name, state in workers.items()},
        queue(ready),
    )


def look(found: Sight, memory: FleetRecord | None = None, **values: Any) -> FleetPlan:
    """The plan for the fleet `f`."""
    return decide(found, memory or FleetRecord(), settings(**values), name="f")


class Town:
    """An engine and a server that do at once what they are told."""

    def __init__(self, settings: FleetSettings) -> None:
        self.settings, self.memory, self.now = settings, FleetRecord(), 0.0
        self.trials: dict[str, int] = {}  # of each member
        self.drained: set[str] = set()
        self.ready = 0

    def step(self) -> FleetPlan:
        """Let workers take trials, look, check what must always hold, and act."""
        self._take()
        workers = {name: self._shown(name) for name in self.trials}
        members = [FleetMember(name) for name in self.trials]
        found = Sight(self.now, members, workers, queue(self.ready))
        plan = decide(found, self.memory, self.settings, name="f")
        assert len(self.trials) + len(plan.start) <= self.settings.max or not plan.start
        for name in plan.end:
            assert name in self.drained
            assert not self.trials[name]
        assert not plan.stop
        assert not set(plan.start) & set(self.trials)
        self.memory = plan.memory
        self.drained |= set(plan.drain)
        for name in plan.end:
            del self.trials[name]
            self.drained.discard(name)
        self.trials |= dict.fromkeys(plan.start, 0)
        self.now += self.settings.interval
        return plan

    def end_trials(self, count: int) -> None:
        """Let so many trials end."""
        for name in self.trials:
            ended = min(count, self.trials[name])
            self.trials[name] -= ended
            count -= ended

    def _take(self) -> None:
        for name in self.trials:
            if name not in self.drained:
                taken = min(self.ready, self.settings.slots - self.trials[name])
                self.trials[name] += taken
                self.ready -= taken

    def _shown(self, name: str) -> WorkerView:
        has_trial, is_drained = self.trials[name] > 0, name in self.drained
        state: WorkerState = "busy" if has_trial else "idle"
        if is_drained:
            state = "draining" if has_trial else "drained"
        return seen(name, state, self.trials[name])


@st.composite
def towns(draw: st.DrawFn) -> Town:
    """Fleets of any bounds."""
    most = draw(st.integers(0, 6))
    return Town(
        settings(
            min=draw(st.integers(0, most)),
            max=most,
            slots=draw(st.integers(1, 3)),
            cooldown=draw(st.sampled_from([0, 25, 60])),
        )
    )


@given(towns(), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_a_fleet_keeps_its_bounds_and_ends_no_trial(
    town: Town, moves: list[tuple[int, int]]
) -> None:
    """Never above the cap, and only drained workers without a trial end."""
    for come, gone in moves:
        town.ready += come
        town.end_trials(gone)
        town.step()


@given(towns(), st.integers(0, 40))
def test_a_fleet_converges(town: Town, ready: int) -> None:
    """Work that stays is met, work that is gone leaves `min`, and then nothing changes any more."""
    town.ready = ready
    for _ in range(3):
        town.step()
    limits = town.settings
    wanted = max(limits.min, min(limits.max, -(-ready // limits.slots)))
    assert len(town.trials) == wanted
    assert not any(changes(town.step()))

    town.ready = 0
    town.end_trials(1000)
    for _ in range(20):
        town.step()
    assert len(town.trials) == limits.min
    assert not any(changes(town.step()))


@given(st.lists(st.integers(0, 6), min_size=5, max_size=5))
def test_work_that_comes_and_goes_within_the_cooldown_moves_nobody(works: list[int]) -> None:
    """A fleet that has met its peak neither shrinks nor grows below it."""
    town = Town(settings(cooldown=100))
    town.ready = 6
    town.step()
    town.step()
    for work in works:
        town.end_trials(1000)
        town.ready = work
        assert not any(changes(town.step()))


def changes(plan: FleetPlan) -> Iterator[tuple[str, ...]]:
    """What a plan does."""
    yield from (plan.start, plan.drain, plan.end, plan.stop)


def test_a_worker_that_does_not_end_is_killed_after_its_grace() -> None:
    """Asked first, and killed when it was given its time; once it is gone, nothing is left."""
    asked = look(sight(0, 0, f1="drained"))
    assert (asked.end, asked.stop) == (("f1",), ())
    waits = look(sight(GRACE - 1, 0, f1="drained"), asked.memory)
    assert not any(changes(waits))
    assert look(sight(GRACE, 0, f1="drained"), waits.memory).stop == ("f1",)
    assert look(sight(GRACE, 0), waits.memory).memory.ending == {}


def test_a_user_may_drain_a_worker_of_the_fleet() -> None:
    """It ends once it holds no trial, and another one takes its place."""
    plan = look(sight(0, 1, f1="draining"))
    assert (plan.start, plan.end) == (("f-1",), ())
    assert look(sight(0, 0, f1="drained")).end == ("f1",)


def test_spent_hours_end_all_with_their_trials_handed_back() -> None:
    """Two workers for half an hour are an hour; then none starts, and all are asked to end."""
    first = look(sight(0, 5, f1="busy", f2="busy"), gpu_hours=1)
    before = look(sight(1799, 0, f1="busy", f2="busy"), first.memory, gpu_hours=1)
    assert not before.end
    spent = look(sight(1800, 9, f1="busy", f2="busy"), before.memory, gpu_hours=1)
    assert (spent.start, spent.drain, spent.end) == ((), ("f1", "f2"), ("f1", "f2"))
    assert "1 device hour" in spent.reason


def test_a_worker_without_a_place_costs_nothing() -> None:
    """What waits in the engine's queue counts towards the cap, and not in hours."""
    waiting = Sight(0, [FleetMember("f-1", is_pending=True)], {}, queue(1))
    first = look(waiting)
    assert first.start == ()
    assert look(Sight(3600, waiting.members, {}, queue(1)), first.memory).memory.seconds == 0


def test_workers_that_end_before_they_ask_are_started_ever_more_rarely() -> None:
    """A wrong token must not start a process every ten seconds for a night."""
    started = look(sight(0, 1))
    assert started.start == ("f-1",)
    died = look(sight(10, 1), started.memory)
    assert died.start == ()
    assert "1 worker ended before asking" in died.reason
    assert look(sight(31, 1), died.memory).start == ("f-1",)


def test_a_study_that_no_worker_of_the_fleet_fits_starts_no_more() -> None:
    """A free worker that does not fit shows it; after an hour without it one may try again."""
    found = Sight(
        0, [FleetMember("f1")], {"f1": seen("f1", "idle")}, queue(9, why=Why.NO_WORKER)
    )  # fmt: skip
    plan = look(found)
    assert (plan.start, plan.desired) == ((), 0)
    alone = Sight(60, [], {}, queue(9, why=Why.NO_WORKER))
    assert look(alone, plan.memory).start == ()
    assert len(look(Sight(3601, [], {}, alone.queue), plan.memory).start) == 8


def test_a_name_whose_lease_lives_on_is_not_given_again() -> None:
    """A node died: until the lease is over, the next worker is called otherwise."""
    dead = Sight(0, [], {"f-1": seen("f-1", "busy")}, queue(1))
    assert look(dead).start == ("f-2",)


def test_bounds_that_cross_are_refused() -> None:
    """The message has both numbers."""
    with pytest.raises(ValueError, match="min is 9 and max 8"):
        settings(min=9)
