"""The background duty: release expired leases and end studies, again and again."""

import logging
import random
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)


class Upkeep:
    """A context manager that runs a duty in a thread, every so many seconds.

    It waits before it works: after a restart of the server, workers get a moment to renew the
    leases that ran out while nobody listened.
    """

    def __init__(self, duty: Callable[[], int], *, seconds: float) -> None:
        self._duty = duty
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the thread and wait for a duty under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # Jitter keeps several server processes from asking at the same moment for ever.
        while not self._stop.wait(self._seconds * random.uniform(0.8, 1.2)):
            try:
                changes = self._duty()
            except Exception:  # the next round may succeed; the thread must outlive this one
                logger.exception("upkeep failed; next try in %g s", self._seconds)
                continue
            if changes:
                logger.info("upkeep made %d changes", changes)
