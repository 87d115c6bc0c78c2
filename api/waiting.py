"""Wake-ups for long waits: at once within this process, in a moment from others on the same
PostgreSQL, and by a jittered poll where those cannot be heard.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable

POLL_SECONDS = 2.0
# Beyond this many waiters each polls less often, so that an idle fleet of any size asks the
# database no more than about forty times a second.
_CROWD = 64


class Notifier:
    """Wakes coroutines that wait for a change; `notify` may be called from any thread.

    `others` is called likewise, to have those of other processes woken.
    """

    def __init__(self, others: Callable[[int | None], None] = lambda most: None) -> None:
        self._others = others
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._version = 0
        self._is_closed = False

    @property
    def version(self) -> int:
        """Grows with every call: read before looking, given to `wait` after finding nothing."""
        return self._version

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def is_closed(self) -> bool:
        """Whether the server is shutting down, so that nobody should wait any longer."""
        return self._is_closed

    def open(self) -> None:
        """Belong to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._is_closed = False

    def notify(self, most: int | None = None) -> None:
        """Wake those who have waited longest: `most` of them, or everyone; here and elsewhere."""
        self.hear(most)
        self._others(most)

    def hear(self, most: int | None = None) -> None:
        """Wake those of this process alone: another one has notified."""
        if self._loop is not None and not self._is_closed:
            self._loop.call_soon_threadsafe(self._wake, most)

    def close(self) -> None:
        """End every wait, present and future; called in the event loop's thread."""
        self._is_closed = True
        self._wake(None)

    async def wait(self, version: int, timeout: float) -> None:
        """Sleep until it notifies, has done so since `version`, or for `timeout` seconds at most.

        Other server processes may not be heard, so it also returns after a poll's pause.
        """
        pause = min(timeout, self._pause())
        if pause <= 0 or self._version != version or self._is_closed:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await asyncio.wait_for(future, pause)
        except TimeoutError:
            pass
        finally:
            if not future.done() or future.cancelled():
                self._forget(future)

    def _pause(self) -> float:
        crowd = max(1.0, len(self._waiting) / _CROWD)
        return random.uniform(0.5, 1.0) * POLL_SECONDS * crowd

    def _wake(self, most: int | None) -> None:
        self._version += 1
        left = len(self._waiting) if most is None else most
        while left > 0 and self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                left -= 1

    def _forget(self, future: asyncio.Future[None]) -> None:
        if future in self._waiting:
            self._waiting.remove(future)
