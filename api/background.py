"""What a server process does beside its requests, one job after another."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)


class Background:
    """A context manager with one thread that does what it is given, in order."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="background")

    def __call__(self, job: Callable[[], None]) -> None:
        """Do it as soon as what came before is done; an error is logged."""
        self._thread.submit(_done, job)

    def __enter__(self) -> Self:
        """Take jobs from now on."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the job under way, and forget those that wait."""
        self._thread.shutdown(cancel_futures=True)


def _done(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception:  # nobody waits for it; the next job may succeed
        logger.exception("a job in the background failed")
