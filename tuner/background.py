"""What runs beside the main work, in a thread of its own, for as long as a `with` block lasts."""

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

logger = logging.getLogger(__name__)
Task = Callable[[], object]


@contextmanager
def duty(run: Task, *, name: str, stop: Task, wait: float | None = None) -> Iterator[None]:
    """Run `run` in a thread until the block ends; then `stop` tells it to end.

    The thread is waited for, `wait` seconds at most; with 0, what it does just then is left to end
    by itself. What may go wrong is for `run` to handle: an error ends the thread, not the block.
    """
    # A daemon: a thread that hangs in a request must not keep the process from ending.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name=name, daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(wait)


@contextmanager
def task_queue(name: str) -> Iterator[Callable[[Task], None]]:
    """A function that has tasks done, one after another, in a thread; an error is logged.

    The end of the block waits for the task under way, and forgets those that wait.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(task: Task) -> None:
        pool.submit(_done, task)

    try:
        yield submit
    finally:
        pool.shutdown(cancel_futures=True)


def _done(task: Task) -> None:
    try:
        task()
    except Exception:  # nobody waits for it; the next task may succeed
        logger.exception("a task in the background failed")
