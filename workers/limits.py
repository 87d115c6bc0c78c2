"""How long a worker waits for things."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Limits:
    """Patience, in seconds, and the clock that measures it."""

    hang: float = 600.0  # a trainer without progress is killed
    stop_grace: float = 120.0  # a trainer that was asked to stop is killed
    drop_grace: float = 10.0  # the same when nobody wants its work any more
    verdict: float = 5.0  # training goes on without a verdict
    shutdown_grace: float = 30.0  # a worker that shuts down leaves the rest on disk
    checkpoint: float = 0.0  # between two uploads
    tick: float = 0.5  # between two looks at the stop flag
    backoff: Backoff = Backoff()  # noqa: RUF009  # frozen
    crashes: Backoff = Backoff(first=1.0, limit=60.0)  # noqa: RUF009  # frozen
    clock: Callable[[], float] = time.monotonic
