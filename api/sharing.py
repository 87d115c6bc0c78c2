"""One answer for all who ask for the same at the same time, so that viewers cost little.

An answer is never older than the question: a turn that has begun takes nobody in, and whoever asks
then waits for the next one, together with all who ask meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_RECENT_SECONDS = 10.0
_LONGEST_REST = 5.0  # well below what a browser waits for an answer


class Budget:
    """The part of one processor that work may take over time, and some seconds of it in a burst.

    Works that overlap count once: all of them share one interpreter.
    """

    def __init__(self, share: float, *, burst: float = 1.0) -> None:
        self._share, self._burst = share, burst
        self._paid = float("-inf")  # when all that was worked will have been made up for
        self._since, self._running = 0.0, 0

    def begin(self, now: float) -> None:
        """A work begins."""
        self._charge(now)
        self._running += 1

    def end(self, now: float) -> None:
        """A work has ended."""
        self._charge(now)
        self._running -= 1

    def wait(self, now: float) -> float:
        """Seconds until work that can wait may begin."""
        return max(0.0, self._paid - now)

    def _charge(self, now: float) -> None:
        if self._running:
            # `_paid` runs behind the clock by what may be spent at once.
            start = max(self._paid, self._since - self._burst / self._share)
            self._paid = start + (now - self._since) / self._share
        self._since = now


@dataclass
class _Turns:
    """Of one question: whose turn it is, and when the last one ended."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: float = float("-inf")

    @property
    def is_recent(self) -> bool:
        """Whether it is asked again and again."""
        return self.lock.locked() or monotonic() - self.ended < _RECENT_SECONDS


class Shared(Generic[T]):
    """Answers by question, made one at a time for each question; belongs to one event loop.

    Args:
        rest: seconds that a question rests after its turn. One that is new does not wait.
        share: of one processor, what all answers together may take; where they took more, a
            question that is asked again rests longer, a few seconds at most.
        at_once: how many answers may be in the making.
    """

    def __init__(
        self, *, rest: float = 0.0, share: float = float("inf"), at_once: int | None = None
    ) -> None:
        self._rest = rest
        self._budget = Budget(share)
        self._places: AbstractAsyncContextManager[Any] = (
            nullcontext() if at_once is None else asyncio.Semaphore(at_once)
        )
        self._waiting: dict[Hashable, asyncio.Task[T]] = {}
        self._turns: dict[Hashable, _Turns] = {}
        self._closing = asyncio.Event()

    @property
    def is_closing(self) -> bool:
        """Whether the server is about to stop."""
        return self._closing.is_set()

    async def get(self, question: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives, or what it gave to another who asked the same before it began."""
        task = self._waiting.get(question)
        if task is None:
            task = asyncio.create_task(self._turn(question, make))
            task.add_done_callback(_hear)
            self._waiting[question] = task
        return await asyncio.shield(task)  # who goes away does not end it for the others

    def close(self) -> None:
        """Let nobody rest any longer: the server is about to stop."""
        self._closing.set()

    async def _turn(self, question: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        turns = self._turns.setdefault(question, _Turns())
        try:
            async with turns.lock:
                await self._wait_for(turns)
                async with self._places:
                    del self._waiting[question]
                    self._budget.begin(monotonic())
                    try:
                        return await make()
                    finally:
                        turns.ended = monotonic()
                        self._budget.end(turns.ended)
        finally:
            self._forget()

    async def _wait_for(self, turns: _Turns) -> None:
        """Keep the distance from the question's turn before."""
        now = monotonic()
        rest = now - turns.ended
        if rest >= _LONGEST_REST:
            return
        left = min(max(self._rest - rest, self._budget.wait(now)), _LONGEST_REST - rest)
        if left > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), left)

    def _forget(self) -> None:
        """Leave out what nobody has asked lately."""
        for question, turns in [*self._turns.items()]:
            if not turns.is_recent and question not in self._waiting:
                del self._turns[question]


def _hear(task: "asyncio.Task[Any]") -> None:
    """Know a failure even if all who asked have gone away."""
    if not task.cancelled():
        task.exception()
