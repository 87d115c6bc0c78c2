"""Renews a lease from a thread of its own and tells what the server said."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from tuner.errors import SegtuneError, ServerUnreachable
from tuner.spec.messages import LeaseStatus, Verdict

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews while its `with` block runs; `wait(seconds)` says whether to end, for tests."""

    def __init__(
        self,
        renew: Callable[[], LeaseStatus],
        *,
        interval: float,
        on_verdict: Callable[[Verdict], None],
        on_refused: Callable[[SegtuneError], None],
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """`on_refused` gets LeaseLost, or whatever else ends the renewing; both are called once."""
        self._renew, self._interval = renew, interval
        self._on_verdict, self._on_refused = on_verdict, on_refused
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Start renewing."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop renewing; a request under way is left to end by itself."""
        self._ended.set()

    def _run(self) -> None:
        away = False
        while not self._wait(self._interval):
            try:
                status = self._renew()
            except ServerUnreachable as error:
                if not away and not self._ended.is_set():
                    log.warning("lease not renewed: %s", error)
                away = True
            except SegtuneError as error:
                self._on_refused(error)
                return
            else:
                away = False
                self._on_verdict(status.verdict)
