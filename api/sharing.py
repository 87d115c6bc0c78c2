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
_LONGEST_REST = 5.0


@dataclass
class _Turns:
    """Of one question: whose turn it is, when the last one ended, and how long it took."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: float = -_RECENT_SECONDS
    cost: float = 0.0

    @property
    def is_recent(self) -> bool:
        """Whether it is asked again and again."""
        return self.lock.locked() or monotonic() - self.ended < _RECENT_SECONDS


class Shared(Generic[T]):
    """Answers by question, made one at a time for each question; belongs to one event loop.

    Args:
        rest: after a turn its question rests for this many times what all questions that are asked
            again and again took last: together they take no more of a processor than one part in
            1 + `rest`. A question that is new does not wait.
        least_rest: seconds for which it rests at least.
        at_once: how many answers may be in the making.
    """

    def __init__(
        self, *, rest: float = 0.0, least_rest: float = 0.0, at_once: int | None = None
    ) -> None:
        self._rest = rest
        self._least_rest = least_rest
        self._places: AbstractAsyncContextManager[Any] = (
            nullcontext() if at_once is None else asyncio.Semaphore(at_once)
        )
        self._waiting: dict[Hashable, asyncio.Task[T]] = {}
        self._turns: dict[Hashable, _Turns] = {}
        self._closing = asyncio.Event()

    async def get(
        self, question: Hashable, make: Callable[[], Awaitable[T]], *, rests: bool = True
    ) -> T:
        """What `make` gives, or what it gave to another who asked the same before it began.

        Args:
            rests: whether it keeps a distance; what a person waits for does not.
        """
        task = self._waiting.get(question)
        if task is None:
            task = asyncio.create_task(self._turn(question, make, rests=rests))
            task.add_done_callback(_hear)
            self._waiting[question] = task
        return await asyncio.shield(task)  # who goes away does not end it for the others

    def close(self) -> None:
        """Let nobody rest any longer: the server is about to stop."""
        self._closing.set()

    async def _turn(
        self, question: Hashable, make: Callable[[], Awaitable[T]], *, rests: bool
    ) -> T:
        turns = self._turns.setdefault(question, _Turns())
        try:
            async with turns.lock:
                if rests:
                    await self._wait_for(turns)
                async with self._places:
                    del self._waiting[question]
                    began = monotonic()
                    try:
                        return await make()
                    finally:
                        turns.ended = monotonic()
                        turns.cost = turns.ended - began
        finally:
            self._forget()

    async def _wait_for(self, turns: _Turns) -> None:
        """Keep the distance from the question's turn before."""
        spent = sum(each.cost for each in self._turns.values() if each.is_recent)
        rest = min(_LONGEST_REST, max(self._least_rest, self._rest * spent))
        left = turns.ended + rest - monotonic()
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
