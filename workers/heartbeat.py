"""Renews a lease from a thread of its own and tells what the server said."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuner.background import duty
from tuner.errors import LeaseLost, SegtuneError
from tuner.spec.messages import LeaseStatus, Verdict
from workers.client import FATAL
from workers.notices import Notices


@contextmanager
def lease_heartbeat(
    renew: Callable[[], LeaseStatus],
    *,
    interval: float,
    on_verdict: Callable[[Verdict], None],
    on_refusal: Callable[[SegtuneError], None],
    wait: Callable[[float], bool] | None = None,
) -> Iterator[None]:
    """Renew every `interval` seconds while the block lasts; a request under way ends by itself.

    `on_refusal` gets what ends the renewing: LeaseLost, or an error that is fatal. `wait(seconds)`
    says whether to end, for tests.
    """
    ended = threading.Event()
    pause = wait or ended.wait

    def run() -> None:
        notices = Notices()
        while not pause(interval):
            try:
                status = renew()
            except (LeaseLost, *FATAL) as error:
                on_refusal(error)
                return
            except Exception as error:  # the lease lives on without one heartbeat
                if not ended.is_set():
                    notices.trouble(f"lease not renewed: {error}")
            else:
                notices.over("the lease is renewed again")
                on_verdict(status.verdict)

    with duty(run, name="heartbeat", stop=ended.set, wait=0):
        yield
