"""Group commit: what many threads ask of the database at the same moment is one transaction.

A transaction costs a dozen round trips, or a disk sync on SQLite, whatever it changes. Under load
a server process has many small ones that queue for the same study's row lock anyway; together
they pay once (DeWitt et al. 1984, "Implementation techniques for main memory database systems").
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from tuner.errors import SegtuneError, StorageError
from tuner.store.observed import Since

T = TypeVar("T")
Work = Callable[[Session], T]
MOST = 32  # works in one transaction: the last waits for the first


@dataclass(frozen=True, slots=True)
class Need:
    """What a work is about: its study's id, and its lease or worker if it has one, so that they
    can be read for the whole group at once; and a look at them, which may refuse but writes
    nothing. A late work comes after the others of its study, because it asks for a trial; `since`
    is what it wants to know of the others.
    """

    study: int
    lease: str | None = None
    worker: str | None = None
    is_late: bool = False
    since: Since | None = None
    look: Work[object] = lambda session: None


class _Ticket:
    """One thread's work, and how it went."""

    def __init__(self, need: Need, work: Work[Any]) -> None:
        self.need = need
        self.work = work
        self.result: Any = None
        self.error: Exception | None = None
        self.has_spoilt = False  # it may have written before it raised
        self.is_committed = False
        self.leads = False
        self.called = threading.Event()

    def try_in(self, session: Session) -> None:
        """Do the work; an error of ours is its own affair."""
        self.error, self.has_spoilt = None, False
        try:
            self.need.look(session)
            self.has_spoilt = True
            self.result = self.work(session)
            self.has_spoilt = False
        except StorageError:
            raise
        except SegtuneError as error:
            self.error = error


class _Undone(Exception):  # no error: it breaks a transaction off
    """Some works raised after they may have written: all that was written is taken back."""


class GroupCommit:
    """Works of many threads, in few transactions, in the order in which they came by study.

    `transaction` is told at its start what its works need.
    """

    def __init__(
        self,
        transaction: Callable[[Sequence[Need]], AbstractContextManager[Session]],
    ) -> None:
        self._transaction = transaction
        self._lock = threading.Lock()
        self._queue: list[_Ticket] = []
        self._is_led = False

    def run(self, need: Need, work: Work[T]) -> T:
        """Do `work` in a transaction that others may share, and give its result once committed.

        A work that raises leaves no trace: what it wrote is taken back, and the others are done
        again without it.

        Raises:
            StorageError: the database refused; nothing of this work was stored.
        """
        ticket = _Ticket(need, work)
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
            self._commit(sorted(batch, key=lambda each: (each.need.study, each.need.is_late)))
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
        """Commit every work that can be; one that raised is left out, and the rest done again."""
        left = batch
        try:
            while left:
                try:
                    self._attempt(left)
                    return
                except _Undone:
                    left = [ticket for ticket in left if ticket.error is None]
        except Exception as error:
            if len(batch) > 1:  # one of them spoilt it: each tries again by itself
                for ticket in batch:
                    self._commit([ticket])
            else:
                batch[0].error = error

    def _attempt(self, batch: Sequence[_Ticket]) -> None:
        """Do the works in one transaction. Raises _Undone when one of them has to be left out."""
        with self._transaction([ticket.need for ticket in batch]) as session:
            for ticket in batch:
                ticket.try_in(session)
            if any(ticket.has_spoilt for ticket in batch):
                raise _Undone
        for ticket in batch:
            ticket.is_committed = True
