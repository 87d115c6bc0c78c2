"""The duty beside the requests: release expired leases and end studies, again and again."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuner.background import duty

logger = logging.getLogger(__name__)


@contextmanager
def repeated(work: Callable[[], int], *, seconds: float) -> Iterator[None]:
    """Do the work every so many seconds while the block lasts; its end waits for a round under way.

    It waits before it works: a server that has just started has others waiting for it.
    """
    ended = threading.Event()

    def run() -> None:
        # Jitter keeps several server processes from asking at the same moment for ever.
        while not ended.wait(seconds * random.uniform(0.8, 1.2)):
            try:
                changes = work()
            except Exception:  # the next round may succeed; the thread must outlive this one
                logger.exception("upkeep failed; next try in %g s", seconds)
                continue
            if changes:
                logger.info("upkeep made %d changes", changes)

    with duty(run, name="upkeep", stop=ended.set):
        yield
