"""Group commit: works of many threads share transactions, and none is answered too early."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.store.fleet import Fleet
from tests.store.samples import spec
from tuner.errors import Conflict, StorageError
from tuner.service import assignments, rows
from tuner.service.searches import Searches
from tuner.service.studies import enqueue
from tuner.spec.messages import LeaseRequest
from tuner.store import studies
from tuner.store.engine import Database
from tuner.store.group import GroupCommit


class Ledger:
    """A database that only notes what was committed; its first transaction waits for `go`."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.pending: list[str] = []
        self.go = threading.Event()
        self.begun = threading.Event()
        self.fails = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Note what the works wrote, unless it fails."""
        self.pending = []
        self.begun.set()
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
    group, answers = GroupCommit(ledger.transaction), dict[str, Any]()

    def run(name: str, work: Callable[[Session], Any]) -> None:
        try:
            answers[name] = group.run(int(name[-1]), work)
        except Exception as error:
            answers[name] = error

    threads = [threading.Thread(target=run, args=item) for item in works.items()]
    threads[0].start()
    assert ledger.begun.wait(10)
    for waiting, thread in enumerate(threads[1:], start=1):
        thread.start()
        while len(group._queue) < waiting:
            assert thread.is_alive()
    ledger.go.set()
    for thread in threads:
        thread.join(10)
    return answers


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
    group = GroupCommit(ledger.transaction)

    def broken(_: Session) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        group.run(0, broken)

    assert "NEXT" == group.run(0, ledger.write("next"))


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
        with searches.of(session, study, rows.spec_of(study)) as search:
            search.draw(study.drawn)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.together(1, spoilt)

    for size in (1, 2):
        enqueue(database, "streets", {"training.batch_size": size})
        assert take() is not None
    last = take()
    assert last is not None
    assert 4 == last.config.training.batch_size
