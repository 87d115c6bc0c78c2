"""How long a worker waits: for things, and before it asks again."""

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waiting with jitter, in seconds, so that a fleet does not come back as one."""

    first: float = 0.5
    limit: float = 30.0
    draw: Callable[[], float] = random.random

    def delays(self) -> Iterator[float]:
        """Delays without end: between half and the whole of a doubling span."""
        span = self.first
        while True:
            yield span * (0.5 + 0.5 * self.draw())
            span = min(2 * span, self.limit)


@dataclass(frozen=True, slots=True)
class Limits:
    """Patience, in seconds, and the clock that measures it."""

    hang: float = 600.0  # a trainer without progress is killed
    stop_grace: float = 120.0  # a trainer that was asked to stop is killed
    drop_grace: float = 10.0  # the same when nobody wants its work any more
    verdict: float = 5.0  # training goes on without a verdict
    shutdown_grace: float = 30.0  # a worker that shuts down leaves the rest on disk
    checkpoint: float = 0.0  # between two uploads
    examples: float = 2.0  # between two sheets of predictions; the last of a trial always goes up
    idle: float = math.inf  # a worker without a trial ends
    tick: float = 0.5  # between two looks at the stop flag
    backoff: Backoff = Backoff()  # frozen
    crashes: Backoff = Backoff(first=1.0, limit=60.0)  # frozen
    clock: Callable[[], float] = time.monotonic
