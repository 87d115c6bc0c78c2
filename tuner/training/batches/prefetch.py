"""Loads the next batches in a thread while the current one trains."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Prefetch(Generic[_T]):
    """Gives `load(index)`, with the indices after it under way; one thread, so never two loads.

    What is loaded depends on the index alone, so that loading ahead changes no number.
    """

    def __init__(self, load: Callable[[int], _T], *, depth: int = 2) -> None:
        self._load = load
        self._depth = depth
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._under_way: dict[int, Future[_T]] = {}

    def get(self, index: int) -> _T:
        """The result for an index; raises what loading it raised."""
        wanted = range(index, index + self._depth + 1)
        for other in self._under_way.keys() - set(wanted):
            self._under_way.pop(other).cancel()
        for ahead in wanted:
            if ahead not in self._under_way:
                self._under_way[ahead] = self._pool.submit(self._load, ahead)
        return self._under_way.pop(index).result()

    def close(self) -> None:
        """Drop what is under way and end the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)
