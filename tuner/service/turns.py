"""Whose turn it is to make a slow draw for a study, and when its workers have waited enough."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

_SHARE = 0.01  # of their time that workers may wait for each other's draws
_MOST = 5.0  # seconds that one of them may wait, and that are saved up for each


@dataclass(frozen=True, slots=True)
class WaitingTime:
    """Seconds that the workers of a study may still wait at a moment, all of them together.

    They gain a hundredth of the time for which they train. So where trials last for minutes,
    workers that ask in the same second wait for each other; where they take no time, hardly ever.
    """

    seconds: float = 0.0
    moment: float = 0.0
    workers: int = 0

    def at(self, moment: float) -> "WaitingTime":
        """What it is later."""
        gained = _SHARE * self.workers * max(0.0, moment - self.moment)
        # What was saved by more workers is kept: they ask again after the first of them.
        seconds = min(self.seconds + gained, max(self.seconds, _MOST * self.workers))
        return replace(self, seconds=seconds, moment=max(moment, self.moment))

    def less(self, waited: float) -> "WaitingTime":
        """What it is after one of them has waited."""
        return replace(self, seconds=self.seconds - waited)

    def with_workers(self, number: int) -> "WaitingTime":
        """The same for another number of workers."""
        return replace(self, workers=number)

    @property
    def is_used_up(self) -> bool:
        """Whether they have waited for longer than they may."""
        return self.seconds < 0


class DrawingTurn:
    """Held from before a slow draw until its trial is stored; counts the time of those that wait.

    `clock` gives seconds, of which only differences count.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._left = WaitingTime()

    @property
    def is_used_up(self) -> bool:
        """Whether workers have waited for it as long as they may, so that draws must be quick."""
        return self._left.at(self._clock()).is_used_up

    def note_workers(self, number: int) -> None:
        """Take in how many workers train, or ask for something to train."""
        with self._counting:
            self._left = self._left.at(self._clock()).with_workers(number)

    @contextmanager
    def taken(self, *, must_wait: bool) -> Iterator[bool]:
        """Gives whether it is held within.

        With `must_wait` it is, and what that takes is not counted. Without it is not once the time
        that there is to wait is used up, nor after five seconds.
        """
        yield from self._released(self._lock.acquire(must_wait) or self._wait())

    @contextmanager
    def taken_if_free(self) -> Iterator[bool]:
        """Gives whether it is held within: it is not where somebody else holds it."""
        yield from self._released(self._lock.acquire(blocking=False))

    def _released(self, is_held: bool) -> Iterator[bool]:
        try:
            yield is_held
        finally:
            if is_held:
                self._lock.release()

    def _wait(self) -> bool:
        """Wait for it as long as may be; whether it is held then."""
        began = self._clock()
        is_held = self._lock.acquire(timeout=_MOST)
        ended = self._clock()
        with self._counting:
            self._left = left = self._left.at(ended).less(ended - began)
        if is_held and left.is_used_up:
            self._lock.release()
            return False
        return is_held
