"""Workers tell how they are with their heartbeats, are drained and let go on, and lose trials."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from tests.databases import Clock
from tests.store.fleet import LEASE_SECONDS, Fleet
from tests.store.grouped import share
from tests.store.test_hot import statements
from tuner.errors import InvalidInput, NotFound
from tuner.service import assignments, leases, overview, studies, trial_logs, upkeep
from tuner.service import fleet as fleet_use
from tuner.spec.fleet import WorkerView
from tuner.spec.logs import LINES
from tuner.spec.messages import LeaseRequest, Outcome, OutcomeKind
from tuner.spec.states import TrialState
from tuner.spec.vitals import Usage, Vitals
from tuner.store.engine import Database
from tuner.store.tables import AttemptLog

USAGE = Usage(utilisation=0.97, memory_gb=9.5, memory_total_gb=16.0, process_gb=2.25)


@pytest.fixture
def fleet(clocked_database: Database) -> Fleet:
    """Workers of a database with one queued study of eight trials."""
    fleet = Fleet(clocked_database)
    fleet.submit()
    return fleet


def worker(fleet: Fleet, name: str = "w1") -> WorkerView:
    """A worker as a list shows it."""
    return fleet_use.shown(fleet.db, name)


def test_a_heartbeat_says_how_its_worker_is(fleet: Fleet, clock: Clock) -> None:
    """Usage, progress and pace are those of the trial at hand, and the heartbeat is its sign of
    life; without a trial nothing is known.
    """
    held = fleet.take()
    fleet.report(held, 1, 2)
    clock.advance(30)
    fleet.heartbeat(held, Vitals(usage=USAGE))
    shown = worker(fleet)
    assert (shown.usage, shown.step, shown.epochs) == (USAGE, 2, 3)
    assert shown.last_seen_at == clock()
    fleet.report(held, 3)
    fleet.finish(held)
    assert (worker(fleet).usage, worker(fleet).step) == (None, None)


def test_a_worker_of_an_earlier_release_is_seen_too(fleet: Fleet, clock: Clock) -> None:
    """Its heartbeats and reports say nothing of it but that it lives."""
    held = fleet.take()
    clock.advance(20)
    fleet.heartbeat(held)
    assert (worker(fleet).usage, worker(fleet).last_seen_at) == (None, clock())
    clock.advance(20)
    fleet.report(held, 1)
    assert worker(fleet).last_seen_at == clock()


def test_the_end_of_a_log_is_kept(fleet: Fleet, clock: Clock) -> None:
    """The newest replaces the one before, a heartbeat without one leaves it, and it outlives its
    attempt; each attempt has its own.
    """
    held = fleet.take()
    with pytest.raises(NotFound, match="has no trial 1"):
        trial_logs.show(fleet.db, "streets", 1)
    assert trial_logs.show(fleet.db, "streets", 0).text == ""
    fleet.heartbeat(held, Vitals(log="epoch 1\n"))
    fleet.heartbeat(held, Vitals(log="epoch 1\nepoch 2\n"))
    fleet.heartbeat(held, Vitals(usage=USAGE))
    shown = trial_logs.show(fleet.db, "streets", 0)
    assert (shown.text, shown.updated_at) == ("epoch 1\nepoch 2\n", clock())
    fleet.finish(held, OutcomeKind.YIELDED)
    again = fleet.take("w2")
    end = Outcome(kind=OutcomeKind.PRUNED, log="resumed\n")
    leases.finish(fleet.db, again.lease, again.token, end)
    first, last = (trial_logs.show(fleet.db, "streets", 0, attempt=n) for n in (1, 2))
    assert (first.worker, first.text) == ("w1", "epoch 1\nepoch 2\n")
    assert (last.worker, last.text) == ("w2", "resumed\n")
    assert trial_logs.show(fleet.db, "streets", 0) == last
    with pytest.raises(NotFound, match=r"no attempt 3; it has 2, counted from 1"):
        trial_logs.show(fleet.db, "streets", 0, attempt=3)


def test_what_a_log_holds_is_bounded_and_text(fleet: Fleet) -> None:
    """Whatever a worker sends, what is stored is fit to be shown."""
    held = fleet.take()
    fleet.heartbeat(held, Vitals(log="\x1b[31mred\x1b[0m\0\n" * 5000))
    assert trial_logs.show(fleet.db, "streets", 0).text == "red\n" * LINES


def test_vitals_add_no_round_trip(database: Database) -> None:
    """Heartbeats that say how busy a device is cost as many statements as bare ones, in any number;
    a log that has changed adds one write for the whole group, sent with the others.
    """
    added = 1 if database.engine.dialect.name == "sqlite" else 0  # others are sent with the rest
    fleet = Fleet(database)
    fleet.submit()
    held = [fleet.take(f"w{index}") for index in range(5)]
    costs = []
    logged = [Vitals(usage=USAGE, log=f"epoch {number}\n") for number in (1, 2)]
    for vitals in (None, Vitals(usage=USAGE), *logged):
        with statements(database) as sent:
            share(
                database._group,
                {one.lease: partial(fleet.heartbeat, one, vitals) for one in held},
            )
        costs.append(len(sent))
    assert costs[1] == costs[0]
    assert costs[2:] == [costs[0] + added] * 2  # whether it is the first log or another
    assert [trial_logs.show(database, "streets", trial).text for trial in range(5)] == [
        "epoch 2\n"
    ] * 5
    assert [worker(fleet, f"w{index}").usage for index in range(5)] == [USAGE] * 5


def test_one_heartbeat_may_say_more_than_another(database: Database) -> None:
    """Those that are committed together each keep what they said."""
    fleet = Fleet(database)
    fleet.submit()
    one, two, three = (fleet.take(f"w{index}") for index in range(3))
    calls = {
        "one": partial(fleet.heartbeat, one, Vitals(usage=USAGE)),
        "two": partial(fleet.heartbeat, two),
        "three": partial(fleet.heartbeat, three, Vitals(log="epoch 1\n")),
    }
    share(database._group, calls)
    assert [worker(fleet, f"w{index}").usage for index in range(3)] == [USAGE, None, None]
    logs = [trial_logs.show(database, "streets", trial).text for trial in range(3)]
    assert logs == ["", "", "epoch 1\n"]


def test_a_drained_worker_ends_its_trial_and_gets_no_other(fleet: Fleet) -> None:
    """It trains to the end, is told why it gets nothing, and goes on once that is undone."""
    held = fleet.take()
    assert fleet_use.drain(fleet.db, "w1").state == "draining"
    assert fleet.heartbeat(held).verdict.action == "continue"
    fleet.train(held)
    shown = worker(fleet)
    assert (shown.state, shown.trials_done) == ("drained", 1)
    request = LeaseRequest(worker="w1")
    told = assignments.answer(
        fleet.db, request, lease_seconds=LEASE_SECONDS, searches=fleet.searches
    )
    assert (told.assignment, told.is_drained) == (None, True)
    assert fleet.ask("w2") is not None
    assert fleet_use.undrain(fleet.db, "w1").state == "idle"
    assert fleet.ask("w1") is not None


def test_draining_twice_keeps_the_first_time(fleet: Fleet, clock: Clock) -> None:
    """Both are fine twice; a worker that nobody knows is named."""
    fleet.take()
    since = fleet_use.drain(fleet.db, "w1").drained_at
    clock.advance(5)
    assert fleet_use.drain(fleet.db, "w1").drained_at == since
    fleet_use.undrain(fleet.db, "w1")
    assert fleet_use.undrain(fleet.db, "w1").drained_at is None
    for change in (fleet_use.drain, fleet_use.undrain):
        with pytest.raises(NotFound, match="no worker is called 'nobody'"):
            change(fleet.db, "nobody")


def test_a_study_says_that_its_only_worker_is_drained(fleet: Fleet) -> None:
    """What waits for a drained worker waits for a reason."""
    fleet.finish(fleet.take(), OutcomeKind.YIELDED)
    assert overview.study(fleet.db, "streets").waiting_for is None
    fleet_use.drain(fleet.db, "w1")
    reason = overview.study(fleet.db, "streets").waiting_for
    assert reason is not None
    assert "w1: it is drained" in reason


def test_a_drained_worker_is_nobodys_other_worker(fleet: Fleet) -> None:
    """What every worker that takes trials lacks is the study's own fault, drained ones aside."""
    fleet.ask("w3", study="none")
    fleet_use.drain(fleet.db, "w3")
    one, two = fleet.take("w1"), fleet.take("w2")
    fleet.give_back(one)
    fleet.give_back(two)
    assert overview.study(fleet.db, "streets").state == "failed"


def test_lost_trials_are_listed(fleet: Fleet, clock: Clock) -> None:
    """A lease that ran out, a trainer that died: each with its worker, and what became of it."""
    lost = fleet.take("w1")
    fleet.report(lost, 1)
    clock.advance(LEASE_SECONDS + 1)
    upkeep.run(fleet.db)
    again = fleet.take("w2")
    fleet.report(again, 2)
    clock.advance(1)
    crashed = Outcome(kind=OutcomeKind.CRASHED, error="SIGKILL (out of memory?)\nlong tail")
    leases.finish(fleet.db, again.lease, again.token, crashed)
    clock.advance(1)
    fleet.train(fleet.take("w3"))

    last, first = fleet_use.lost(fleet.db).items
    assert (first.worker, first.outcome, first.attempt) == ("w1", "lost", 1)
    assert (first.next_attempt, first.next_worker, first.state) == (2, "w2", TrialState.COMPLETED)
    assert (last.worker, last.outcome, last.error) == ("w2", "crashed", "SIGKILL (out of memory?)")
    assert (last.next_worker, last.trial, last.step, last.epochs) == ("w3", 0, 3, 3)
    assert fleet_use.lost(fleet.db, worker="w1").items == (first,)
    assert [worker(fleet, name).lost for name in ("w1", "w2", "w3")] == [1, 1, 0]
    with pytest.raises(NotFound, match="'nobody'"):
        fleet_use.lost(fleet.db, worker="nobody")


def test_lost_trials_are_paged(fleet: Fleet, clock: Clock) -> None:
    """Pages hold each once, also those that were lost at the same time."""
    for _ in range(7):
        fleet.take("w1")
    clock.advance(LEASE_SECONDS + 1)
    upkeep.run(fleet.db)
    found, cursor = list[int](), None
    while True:
        page = fleet_use.lost(fleet.db, cursor=cursor, limit=3)
        found += [one.trial for one in page.items]
        if (cursor := page.next) is None:
            break
    assert sorted(found) == list(range(7))
    for wrong in ("x", "WyJub3ciLDFd", "W251bGwsImEiXQ"):
        with pytest.raises(InvalidInput, match="not a cursor"):
            fleet_use.lost(fleet.db, cursor=wrong)


def test_what_another_release_wrote_of_usage_is_passed_over(fleet: Fleet) -> None:
    """A later worker may say more; what makes no sense is not shown, and keeps nobody away."""
    said = Vitals.model_validate({"usage": {"utilisation": 0.5, "watts": 300}, "mood": "fine"})
    assert said == Vitals(usage=Usage(utilisation=0.5))
    held = fleet.take()
    fleet.heartbeat(held, said)
    assert worker(fleet).usage == Usage(utilisation=0.5)


def test_logs_go_with_their_study(fleet: Fleet) -> None:
    """Nothing is left of a study that is removed."""
    held = fleet.take()
    fleet.heartbeat(held, Vitals(log="epoch 1\n"))
    fleet.finish(held, OutcomeKind.YIELDED)
    studies.delete(fleet.db, "streets")
    upkeep.remove_deleted(fleet.db, timedelta(0))
    with fleet.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(AttemptLog)) == 0
