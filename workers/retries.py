"""How often a request that fails is repeated: a server that is away is waited for without end."""

from collections.abc import Callable

from tuner.errors import (
    Forbidden,
    LeaseLost,
    SegtuneError,
    ServerBusy,
    ServerFailing,
    ServerUnreachable,
    Unauthorized,
)

TRIES = 10


def pause(delay: float, error: Exception) -> float:
    """How long to wait before asking again, in seconds: never less than a busy server wants."""
    return max(delay, error.seconds) if isinstance(error, ServerBusy) else delay


class RetryLimit:
    """Counts how often one request failed on a server that answers other requests.

    `probe` is such a request: the lease's heartbeat. That a server is busy is nobody's fault.
    """

    def __init__(self, probe: Callable[[], object], limit: int = TRIES) -> None:
        self._probe, self._limit = probe, limit
        self.tries = 0

    def renew(self) -> None:
        """Start again, with another request."""
        self.tries = 0

    def is_over(self, error: ServerUnreachable) -> bool:
        """Whether the request has failed so often that the fault is its own.

        Raises:
            LeaseLost, Unauthorized, Forbidden: so says the probe.
        """
        if not isinstance(error, ServerFailing):
            return False
        try:
            self._probe()
        except (LeaseLost, Unauthorized, Forbidden):
            raise
        except SegtuneError:
            return False
        self.tries += 1
        return self.tries >= self._limit
