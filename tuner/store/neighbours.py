"""What the server processes on one PostgreSQL tell each other: that something has changed.

A word is a hint and never the news itself: whoever hears one looks into the database, and whoever
misses one finds out at its next look. So words are few: however much happens, a process says each
topic once in a moment, outside of every transaction, because the commit of a NOTIFY keeps all
others from committing theirs.
"""

import logging
import multiprocessing.connection
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tuner.background import duty
from tuner.errors import StorageError
from tuner.store.engine import Database

logger = logging.getLogger(__name__)
Hear = Callable[[str, int | None], None]
CHANNEL = "segtune"
MOMENT_SECONDS = 0.5
RETRY_SECONDS = 5.0
_ALL = "all"
_WORD = re.compile(rf"(\w+) ([0-9]+|{_ALL})$")
_PATIENCE = 2.0  # with a PostgreSQL that does not answer, when the server ends


class Neighbours:
    """Says and hears words about topics; where the database has one process, nothing happens."""

    def __init__(self, db: Database, *, retry: float = RETRY_SECONDS) -> None:
        self._db, self._retry = db, retry
        self._unsaid: dict[str, int | None] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def say(self, topic: str, most: int | None = None) -> None:
        """Have the others told soon; `most` is how many of those who wait should look, or all."""
        if not self._db.is_for_several:
            return
        with self._lock:
            before = self._unsaid.get(topic, 0)
            self._unsaid[topic] = None if before is None or most is None else before + most

    @contextmanager
    def around(self, hear: Hear) -> Iterator[None]:
        """While the block lasts, say what is to be said, and have `hear` called, in a thread."""
        if not self._db.is_for_several:
            yield
            return
        notified, notifier = socket.socketpair()
        run, stop = partial(self._run, hear, notified), partial(self._end, notifier)
        with notified, notifier, duty(run, name="neighbours", stop=stop, wait=_PATIENCE):
            yield

    def _end(self, notifier: socket.socket) -> None:
        self._ended.set()
        notifier.close()

    def _run(self, hear: Hear, notified: socket.socket) -> None:
        while not self._ended.is_set():
            try:
                with self._db.conversation(CHANNEL) as connection:
                    self._talk(connection, hear, notified)
            except StorageError as error:
                logger.warning(
                    "other server processes are not heard, and found out about by looking every "
                    "few seconds: %s; next try in %g s",
                    error,
                    self._retry,
                )
                self._ended.wait(self._retry)

    def _talk(self, connection: Any, hear: Hear, notified: socket.socket) -> None:
        while not self._ended.is_set():
            multiprocessing.connection.wait([connection, notified], MOMENT_SECONDS)
            for heard in connection.notifies(timeout=0):
                if heard.pid != connection.info.backend_pid and (
                    word := _WORD.match(heard.payload)
                ):
                    hear(word[1], None if word[2] == _ALL else int(word[2]))
            for topic, few in self._taken().items():
                said = f"{topic} {_ALL if few is None else few}"
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, said))

    def _taken(self) -> dict[str, int | None]:
        with self._lock:
            unsaid, self._unsaid = self._unsaid, {}
        return unsaid
