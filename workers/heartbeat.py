"""Renews a lease from a thread of its own and tells what the server said."""

import threading
from collections.abc import Callable
from types import TracebackType

from tuner.errors import LeaseLost, SegtuneError
from tuner.spec.messages import LeaseStatus, Verdict
from workers.client import FATAL
from workers.notices import Notices


class LeaseHeartbeat:
    """Renews while its `with` block runs; `wait(seconds)` says whether to end, for tests."""

    def __init__(
        self,
        renew: Callable[[], LeaseStatus],
        *,
        interval: float,
        on_verdict: Callable[[Verdict], None],
        on_refusal: Callable[[SegtuneError], None],
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """`on_refusal` gets what ends the renewing: LeaseLost, or an error that is fatal."""
        self._renew, self._interval = renew, interval
        self._on_verdict, self._on_refusal = on_verdict, on_refusal
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "LeaseHeartbeat":
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
        notices = Notices()
        while not self._wait(self._interval):
            try:
                status = self._renew()
            except (LeaseLost, *FATAL) as error:
                self._on_refusal(error)
                return
            except Exception as error:  # the lease lives on without one heartbeat
                if not self._ended.is_set():
                    notices.trouble(f"lease not renewed: {error}")
            else:
                notices.over("the lease is renewed again")
                self._on_verdict(status.verdict)
