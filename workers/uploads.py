"""Keeps a trial's newest checkpoint on the server, from a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from tuner.background import duty
from tuner.errors import LeaseLost, SegtuneError, ServerUnreachable
from workers.limits import Backoff
from workers.notices import Notices
from workers.protocol import Saved
from workers.retries import RetryLimit, pause

logger = logging.getLogger(__name__)
_LAST_UPLOAD_SECONDS = 60.0


class Uploads:
    """Checkpoints on their way to the server; one that a newer one overtook is skipped."""

    def __init__(
        self,
        send: Callable[[Saved], object],
        *,
        every: float,
        on_refusal: Callable[[SegtuneError], None],
        backoff: Backoff | None = None,
        retries: RetryLimit | None = None,
    ) -> None:
        """`every` is the shortest time between two uploads, in seconds.

        A checkpoint that fails until `retries` is over is skipped. While the server's disk is full
        the newest waits.
        """
        self._send, self._every, self._on_refusal = send, every, on_refusal
        self._backoff = backoff or Backoff()
        self._retries = retries or RetryLimit(lambda: None)
        self.notices = Notices()
        self._changed = threading.Condition()
        self._newest: Saved | None = None
        self._waiting = False
        self._is_running = False
        self._ended = False

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Upload while the block lasts; an upload under way is left to end by itself."""
        self._is_running = True
        with duty(self._run, name="uploads", stop=self._end, wait=0):
            yield self

    def offer(self, saved: Saved) -> None:
        """Say that a newer checkpoint lies on disk."""
        with self._changed:
            self._newest, self._waiting = saved, True
            self._changed.notify_all()

    def close(self) -> Saved | None:
        """Let the upload under way end and start no other; the newest if it has not arrived."""
        self._end()
        with self._changed:
            self._changed.wait_for(lambda: not self._is_running, _LAST_UPLOAD_SECONDS)
            return self._newest if self._waiting else None

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._upload_newest()
        finally:
            with self._changed:
                self._is_running = False
                self._changed.notify_all()

    def _upload_newest(self) -> None:
        delays = self._backoff.delays()
        while (saved := self._next()) is not None:
            began = time.monotonic()
            try:
                self._send(saved)
            except LeaseLost as error:
                self._on_refusal(error)
                return
            except Exception as error:
                if self._may_pass(error):
                    self.notices.trouble(f"checkpoints wait: {error}")
                    self._pause(pause(next(delays), error))
                    continue
                self.notices.trouble(f"checkpoints are not stored: {error}")
            else:
                self.notices.over("checkpoints are uploaded again")
            self._retries.renew()
            delays = self._backoff.delays()
            with self._changed:
                self._waiting = self._newest is not saved
            self._pause(began + self._every - time.monotonic())

    def _may_pass(self, error: Exception) -> bool:
        if not isinstance(error, ServerUnreachable):
            return False
        with suppress(SegtuneError):  # delivery and heartbeat see it too
            return not self._retries.is_over(error)
        return True

    def _next(self) -> Saved | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._waiting)
            return None if self._ended else self._newest

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended, max(seconds, 0.0))
