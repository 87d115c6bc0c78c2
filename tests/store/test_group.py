"""Group commit: works of many threads share transactions, and none is answered too early."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.store.fleet import Fleet
from tests.store.grouped import queued
from tests.store.samples import spec
from tuner.errors import Conflict, LeaseLost, NotFound, StorageError
from tuner.service import assignments, documents, overview
from tuner.service.searches import Searches
from tuner.service.studies import enqueue
from tuner.spec.counting import Counting
from tuner.spec.messages import LeaseRequest, Report
from tuner.store import hot, leases, reports, studies, workers
from tuner.store.engine import Database
from tuner.store.group import GroupCommit, Job, Need


class Ledger:
    """A database that only notes what was committed; its first transaction waits for `go`."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.pending: list[str] = []
        self.go = threading.Event()
        self.fails = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Note what the works wrote, unless it fails."""
        self.pending = []
        assert self.go.wait(10)
        yield Session()
        if self.fails and len(self.pending) > 1:
            raise StorageError("the disk is full")
        self.commits.append(self.pending)

    def write(self, word: str) -> Callable[[Session], str]:
        """A work that writes a word and gives it back."""

        def work(_: Session) -> str:
            self.pending.append(word)
            return word.upper()

        return work


def _together(ledger: Ledger, works: dict[str, Callable[[Session], Any]]) -> dict[str, Any]:
    """Run the first work; while it waits for its commit, the others queue up behind it."""
    needs = {name: (Need(int(name[-1])), work) for name, work in works.items()}
    return queued(GroupCommit(lambda needs: ledger.transaction()), needs, until=ledger.go)


def test_works_that_wait_share_one_transaction_by_rising_key() -> None:
    """While the first commits, three queue up; they are committed together, ordered by key."""
    ledger = Ledger()
    names = ("first0", "third3", "second2", "again2")

    answers = _together(ledger, {name: ledger.write(name) for name in names})

    assert [["first0"], ["second2", "again2", "third3"]] == ledger.commits
    assert {name: name.upper() for name in names} == answers


def test_an_error_of_one_work_leaves_the_others_alone() -> None:
    """A refused request is refused; what shared its transaction is stored."""
    ledger = Ledger()

    def refuse(_: Session) -> None:
        raise Conflict("it has ended")

    answers = _together(ledger, {"a0": ledger.write("a0"), "b1": refuse, "c2": ledger.write("c2")})

    assert [["a0"], ["c2"]] == ledger.commits
    assert isinstance(answers["b1"], Conflict)
    assert "C2" == answers["c2"]


@pytest.mark.parametrize("culprits", [{1}, {0, 3}, {1, 2, 3}, {0, 1, 2, 3}])
def test_a_work_that_fails_after_it_wrote_leaves_no_trace(
    database: Database, culprits: set[int]
) -> None:
    """Whatever it wrote is taken back, in rows and in numbers; its group is stored without it."""
    fleet = Fleet(database)
    fleet.submit(spec(search={"sampler": "random", "trials": 9, "parallel": 9}))
    held = [fleet.take(f"w{index}") for index in range(4)]
    events_before = len(overview.events(database, "streets"))
    gate = threading.Event()

    def wait(_: Session) -> None:
        assert gate.wait(10)

    def store(session: Session, index: int) -> int:
        one = leases.hold(session, held[index].lease, held[index].token)
        message = Report(step=1, metrics={"miou": index / 10}, seconds=1.0)
        counting, now = Counting(documents.spec_of(one.study).objective), database.now()
        reports.record(session, one.study, one.trial, message, counting=counting, now=now)
        leases.renew(one.attempt, now=now, seconds=1e6)
        workers.ended(session, one.attempt.worker_id, is_done=True, now=now)
        if index in culprits:
            if index % 2:
                hot.write(session)  # some of it has even reached the database
            raise Conflict(f"{index} fails after it wrote")
        return index

    works = {"gate": (Need(1), wait)} | {
        str(index): (leases.need(one.lease, one.token), partial(store, index=index))
        for index, one in enumerate(held)
    }
    answers = queued(database._group, works, until=gate)

    stored = {0, 1, 2, 3} - culprits
    assert stored == {index for index in range(4) if answers[str(index)] == index}
    assert all(isinstance(answers[str(index)], Conflict) for index in culprits)
    view = overview.study(database, "streets")
    assert len(stored) == view.epochs
    steps = [overview.trial(database, "streets", index).step for index in range(4)]
    assert [int(index in stored) for index in range(4)] == steps
    told = overview.events(database, "streets", limit=100)
    assert list(range(1, events_before + len(stored) + 1)) == [event.seq for event in told]
    done = {worker.name: worker.trials_done for worker in overview.workers(database)}
    assert {f"w{index}": int(index in stored) for index in range(4)} == done


def test_a_lost_lease_costs_its_group_nothing(database: Database) -> None:
    """A token that is refused is found before anything is written: the others commit at once."""
    fleet = Fleet(database)
    fleet.submit()
    held, begun, gate = fleet.take(), [0], threading.Event()

    def wait(_: Session) -> None:
        assert gate.wait(10)

    def count(session: Session) -> None:
        begun[0] += 1
        leases.hold(session, held.lease, held.token)

    works = {
        "gate": (Need(1), wait),
        "stale": (leases.need(held.lease, "wrong"), count),
        "right": (leases.need(held.lease, held.token), count),
        "gone": (Need(99, look=partial(studies.lock, study=99)), count),
    }
    answers = queued(database._group, works, until=gate)

    assert isinstance(answers["stale"], LeaseLost)
    assert isinstance(answers["gone"], NotFound)
    assert answers["right"] is None
    assert [1] == begun


def test_a_spoilt_transaction_is_tried_again_work_by_work() -> None:
    """What fails in company may succeed alone; nobody is told of success before the commit."""
    ledger = Ledger()
    ledger.fails = True

    answers = _together(ledger, {name: ledger.write(name) for name in ("a0", "b1", "c2")})

    assert [["a0"], ["b1"], ["c2"]] == ledger.commits
    assert {"a0": "A0", "b1": "B1", "c2": "C2"} == answers


def test_a_work_that_fails_alone_raises_its_error() -> None:
    """A bug in a work reaches its caller, and the next work runs."""
    ledger = Ledger()
    ledger.go.set()
    group = GroupCommit(lambda needs: ledger.transaction())

    def broken(_: Session) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        group.run(Job(Need(0), broken))

    assert "NEXT" == group.run(Job(Need(0), ledger.write("next")))


def test_a_search_forgets_what_it_saw_in_a_transaction_that_was_undone(
    database: Database,
) -> None:
    """What happens after a broken transaction is seen, though that one had counted further."""
    searches = Searches()
    fleet = Fleet(database)
    points = {"training.batch_size": {"choice": [1, 2, 4, 8]}}
    fleet.submit(spec(space=points, search={"sampler": "grid", "trials": 4}))
    take = partial(
        assignments.take, database, LeaseRequest(worker="w"), lease_seconds=60, searches=searches
    )
    assert take() is not None

    def spoilt(session: Session) -> None:
        study = studies.lock(session, 1)
        study.event_seq += 100
        with searches.of(session, study, documents.rules_of(study)) as search:
            search.draw(study.trial_count)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.together(Job(Need(1), spoilt))

    for size in (1, 2):
        enqueue(database, "streets", {"training.batch_size": size})
        assert take() is not None
    last = take()
    assert last is not None
    assert 4 == last.config.training.batch_size


def test_futures_share_transactions_with_threads() -> None:
    """Jobs that no thread waits for are committed like others, and each has its own outcome."""
    ledger = Ledger()
    group = GroupCommit(lambda needs: ledger.transaction())

    def refuse(_: Session) -> None:
        raise Conflict("it has ended")

    first = group.soon(Job(Need(0), ledger.write("first")))
    later = group.soon(Job(Need(2), ledger.write("later")))
    refused = group.soon(Job(Need(1), refuse))
    ledger.go.set()

    assert "THREAD" == group.run(Job(Need(3), ledger.write("thread")))
    assert ["FIRST", "LATER"] == [first.result(10), later.result(10)]
    with pytest.raises(Conflict, match="it has ended"):
        refused.result(10)
    group.close()


def test_a_future_that_is_cancelled_in_time_is_not_done() -> None:
    """A caller that has gone before its group began leaves nothing behind."""
    ledger = Ledger()
    group = GroupCommit(lambda needs: ledger.transaction())

    first = group.soon(Job(Need(0), ledger.write("first")))
    while not first.running():
        pass  # its transaction waits for `go`
    gone, kept = (group.soon(Job(Need(1), ledger.write(word))) for word in ("gone", "kept"))
    gone.cancel()
    ledger.go.set()

    assert "KEPT" == kept.result(10)
    assert [["first"], ["kept"]] == ledger.commits
    group.close()


def test_a_future_hears_of_a_broken_transaction() -> None:
    """What the database refuses is an error of its caller, not a wait without end."""

    @contextmanager
    def refused(_: Sequence[Need]) -> Iterator[Session]:
        raise StorageError("the disk is full")
        yield

    group = GroupCommit(refused)
    with pytest.raises(StorageError, match="the disk is full"):
        group.soon(Job(Need(0), lambda _: None)).result(10)
    group.close()


def test_a_group_that_is_closed_does_what_it_has_taken() -> None:
    """A future that waits behind a thread's job is done; one that comes later is refused."""
    ledger = Ledger()
    group = GroupCommit(lambda needs: ledger.transaction())
    thread = threading.Thread(target=group.run, args=(Job(Need(0), ledger.write("thread")),))
    thread.start()
    while not group._is_led or group._queue:
        assert thread.is_alive()
    waiting = group.soon(Job(Need(1), ledger.write("waiting")))
    group.close()
    late = group.soon(Job(Need(2), ledger.write("late")))
    ledger.go.set()

    assert waiting.result(10) == "WAITING"
    with pytest.raises(StorageError, match="shutting down"):
        late.result(10)
    assert group.run(Job(Need(3), ledger.write("after"))) == "AFTER"
    thread.join(10)


def test_a_thread_that_ends_itself_leaves_the_others_a_leader() -> None:
    """Whatever ends a work, those that wait behind it are served."""
    ledger = Ledger()
    group = GroupCommit(lambda needs: ledger.transaction())

    def leave(_: Session) -> None:
        raise SystemExit

    gone = group.soon(Job(Need(0), leave))
    while not gone.running():
        pass
    kept = group.soon(Job(Need(1), ledger.write("kept")))
    ledger.go.set()

    assert kept.result(10) == "KEPT"
    with pytest.raises(StorageError, match="broken off"):
        gone.result(10)
    group.close()


def test_a_heir_that_is_appointed_at_once_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader may appoint the next one before that thread knows that it has to wait."""
    ledger, queued_up = Ledger(), threading.Event()
    group = GroupCommit(lambda needs: ledger.transaction())
    queue_up = group._queue_up

    def slowly(ticket: Any) -> bool:
        leads = queue_up(ticket)
        if not leads:
            ledger.go.set()
            assert ticket.called.wait(10)  # appointed
            queued_up.set()
        return leads

    monkeypatch.setattr(group, "_queue_up", slowly)
    first = threading.Thread(target=group.run, args=(Job(Need(0), ledger.write("first")),))
    first.start()
    while not group._is_led or group._queue:
        assert first.is_alive()

    assert group.run(Job(Need(1), ledger.write("heir"))) == "HEIR"
    assert group.run(Job(Need(2), ledger.write("next"))) == "NEXT"
    first.join(10)
