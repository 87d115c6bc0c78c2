"""What a worker logs of trouble that lasts: once, not a thousand times."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)
_AGAIN = 3600.0


class Notices:
    """Logs each new trouble, the same one again after an hour, and that it is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._text = ""
        self._times = 0
        self._logged_at = 0.0

    @property
    def text(self) -> str:
        """The trouble that there is now; empty where there is none."""
        return self._text

    def trouble(self, text: str) -> None:
        """Log a trouble, unless it was the last one that was logged."""
        now = self._clock()
        self._times = self._times + 1 if text == self._text else 1
        if self._times == 1:
            logger.warning("%s", text)
        elif now - self._logged_at >= _AGAIN:
            logger.warning("%s (still, %d times by now)", text, self._times)
        else:
            return
        self._text, self._logged_at = text, now

    def over(self, text: str) -> None:
        """Log that the trouble is over, if there was one."""
        if self._text:
            logger.info("%s", text)
        self._text, self._times = "", 0
