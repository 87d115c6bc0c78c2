"""How long to wait before asking a server again that did not answer."""

import random
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
