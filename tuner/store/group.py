"""Group commit: what many threads ask of the database at the same moment is one transaction.

A transaction costs a dozen round trips, or a disk sync on SQLite, whatever it changes. Under load
a server process has many small ones that queue for the same study's row lock anyway; together
they pay once (DeWitt et al. 1984, "Implementation techniques for main memory database systems").
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
    is from where on it wants to know what changed before the group.
    """

    study: int
    lease: str | None = None
    worker: str | None = None
    is_late: bool = False
    since: Since | None = None
    look: Work[object] = lambda session: None


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """A work with what it is about."""

    need: Need
    work: Work[T]


class _Ticket:
    """A job of a thread that waits for it, or of a future, and how it went."""

    def __init__(self, job: Job[Any], future: "Future[Any] | None" = None) -> None:
        self.need = job.need
        self.work = job.work
        self.future = future
        self.result: Any = None
        self.error: Exception | None = None
        self.has_spoilt = False  # it may have written before it raised
        self.is_committed = False
        self.leads = False
        self.called = threading.Event()

    def is_wanted(self) -> bool:
        """Whether anybody still waits for it; from here on its future cannot be cancelled."""
        return self.future is None or self.future.set_running_or_notify_cancel()

    def outcome(self) -> Any:
        """What the work gave, once it is committed. Raises what it raised, or StorageError."""
        if self.error is not None:
            raise self.error
        if not self.is_committed:
            raise StorageError("the transaction was broken off; nothing was stored, ask again")
        return self.result

    def close(self) -> None:
        """Let the thread that waits go on."""
        self.leads = False
        self.called.set()
        if self.future is not None:
            try:
                self.future.set_result(self.outcome())
            except Exception as error:
                self.future.set_exception(error)

    def try_in(self, session: Session) -> None:
        """Do the work; an error of ours is kept for its thread alone."""
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
        self._is_closed = False
        # Its thread starts with the first future, and leads from then on while anything waits.
        self._leader = ThreadPoolExecutor(1, thread_name_prefix="group-commit")

    def run(self, job: Job[T]) -> T:
        """Do a job in a transaction that others may share, and give its result once committed.

        A work that raises leaves no trace: what it wrote is taken back, and the others are done
        again without it.

        Raises:
            StorageError: the database refused; nothing of this work was stored.
        """
        ticket = _Ticket(job)
        if self._queue_up(ticket):
            ticket.leads = True
        else:
            ticket.called.wait()
        if ticket.leads:
            self._lead(ticket)
        result: T = ticket.outcome()
        return result

    def soon(self, job: Job[T]) -> "Future[T]":
        """The result of a job to come, as `run` gives it: for callers that are not threads."""
        future: Future[T] = Future()
        with self._lock:
            if self._is_closed:
                future.set_exception(StorageError("the server is shutting down; ask again"))
                return future
            self._queue.append(_Ticket(job, future))
            if not self._is_led:
                self._is_led = True
                self._leader.submit(self._lead)
        return future

    def close(self) -> None:
        """Take no more jobs as futures, and return once all that were taken are done."""
        with self._lock:
            self._is_closed = True
        self._leader.shutdown()

    def _queue_up(self, ticket: _Ticket) -> bool:
        """Add a thread's ticket to those that wait; whether it has to lead now."""
        with self._lock:
            self._queue.append(ticket)
            was_led, self._is_led = self._is_led, True
        return not was_led

    def _lead(self, own: _Ticket | None = None) -> None:
        """Commit what waits, group by group; a thread with a ticket of its `own` only the first."""
        goes_on = True
        while goes_on:
            with self._lock:
                batch, self._queue = self._queue[:MOST], self._queue[MOST:]
            batch = [ticket for ticket in batch if ticket.is_wanted()]
            try:
                self._commit(sorted(batch, key=lambda each: (each.need.study, each.need.is_late)))
            except BaseException:  # nothing of ours: the others must not wait for it for ever
                if own is not None:
                    raise
            finally:
                goes_on = self._hand_on(own)
                for ticket in batch:
                    ticket.close()

    def _hand_on(self, own: _Ticket | None) -> bool:
        """Let the thread of the next ticket lead, or ours where it has none.

        Gives whether the one that has led until now has to go on.
        """
        with self._lock:
            if not self._queue:
                self._is_led = False
                return False
            following = self._queue[0]
            if own is None or (following.future is not None and self._is_closed):
                return True
            if following.future is not None:
                self._leader.submit(self._lead)
            else:
                following.leads = True
                following.called.set()
            return False

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
