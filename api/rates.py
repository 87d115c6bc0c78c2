"""How often one token may ask: worker traffic has a limit of its own, so that neither starves."""

import math
from collections.abc import Callable
from time import monotonic

from api.errors import TooManyRequests
from api.settings import Settings

_WINDOW = 60.0  # seconds: as many requests may come at once as in all of it
_WORKER_PATHS = ("/api/v1/leases", "/api/v1/artifacts")


class Rates:
    """Counts the requests of one server process, in a number for each token."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = monotonic) -> None:
        self._limits = {False: settings.rate_per_minute, True: settings.worker_rate_per_minute}
        self._clock = clock
        self._paid_until = dict[tuple[str, bool], float]()

    def take(self, token: str, path: str) -> None:
        """Count a request. Raises TooManyRequests, which says when the next may come."""
        is_work = path.startswith(_WORKER_PATHS)
        limit = self._limits[is_work]
        if not limit:
            return
        key, now, cost = (token, is_work), self._clock(), _WINDOW / limit
        paid = max(self._paid_until.get(key, now), now)
        wait = paid + cost - now - _WINDOW
        if wait > 1e-6:  # a sum of fractions is never exact
            setting = "SEGTUNE_WORKER_RATE_PER_MINUTE" if is_work else "SEGTUNE_RATE_PER_MINUTE"
            seconds = math.ceil(wait)
            raise TooManyRequests(
                f"the token '{token}' has asked {limit} times in a minute; ask again in "
                f"{seconds} s, less often, or raise {setting}",
                seconds,
            )
        self._paid_until[key] = paid + cost
