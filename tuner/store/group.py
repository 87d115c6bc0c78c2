"""Group commit: what many threads ask of the database at the same moment is one transaction.

A transaction costs a dozen round trips, or a disk sync on SQLite, whatever it changes. Under load
a server process has many small ones that queue for the same study's row lock anyway; together
they pay once (DeWitt et al. 1984, "Implementation techniques for main memory database systems").
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from tuner.errors import SegtuneError, StorageError

T = TypeVar("T")
Work = Callable[[Session], T]
MOST = 32  # works in one transaction: the last waits for the first


class _Ticket:
    """One thread's work, and how it went."""

    def __init__(self, key: int, work: Work[Any]) -> None:
        self.key = key
        self.work = work
        self.result: Any = None
        self.error: Exception | None = None
        self.is_committed = False
        self.leads = False
        self.called = threading.Event()

    def try_in(self, session: Session) -> None:
        """Do the work; an error of ours is its own affair, and nothing was written."""
        self.error = None
        try:
            self.result = self.work(session)
        except StorageError:
            raise
        except SegtuneError as error:
            self.error = error


class GroupCommit:
    """Works of many threads, in few transactions, in the order in which they came by key."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Session]]) -> None:
        self._transaction = transaction
        self._lock = threading.Lock()
        self._queue: list[_Ticket] = []
        self._is_led = False

    def run(self, key: int, work: Work[T]) -> T:
        """Do `work` in a transaction that others may share, and give its result once committed.

        Works are done by rising key, so that two processes lock rows in the same order. A work
        must raise its own errors before it writes.

        Raises:
            StorageError: the database refused; nothing of this work was stored.
        """
        ticket = _Ticket(key, work)
        with self._lock:
            self._queue.append(ticket)
            ticket.leads = not self._is_led
            self._is_led = True
        if not ticket.leads:
            ticket.called.wait()
        if ticket.leads:
            self._lead()
        if ticket.error is not None:
            raise ticket.error
        if not ticket.is_committed:
            raise StorageError("the transaction was broken off; nothing was stored, ask again")
        result: T = ticket.result
        return result

    def _lead(self) -> None:
        """Commit what waits, the leader's own work among it, and appoint the next leader."""
        with self._lock:
            batch, self._queue = self._queue[:MOST], self._queue[MOST:]
        try:
            self._commit(sorted(batch, key=lambda ticket: ticket.key))
        finally:
            with self._lock:
                self._is_led = bool(self._queue)
                if self._queue:
                    self._queue[0].leads = True
                    self._queue[0].called.set()
            for ticket in batch:
                ticket.leads = False
                ticket.called.set()

    def _commit(self, batch: Sequence[_Ticket]) -> None:
        try:
            with self._transaction() as session:
                for ticket in batch:
                    ticket.try_in(session)
        except Exception as error:
            if len(batch) > 1:  # one of them spoilt it: each tries again by itself
                for ticket in batch:
                    self._commit([ticket])
            else:
                batch[0].error = error
            return
        for ticket in batch:
            ticket.is_committed = True
