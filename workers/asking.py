"""Asks a server for a trial until there is an answer, without being deaf to the stop flag."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from tuner.errors import SegtuneError
from tuner.spec.messages import Assignment, LeaseRequest, Outcome, OutcomeKind
from workers.client import FATAL, ServerClient
from workers.limits import Limits
from workers.notices import Notices
from workers.retries import pause


def ask(
    client: ServerClient,
    request: Callable[[], LeaseRequest],
    *,
    stop: threading.Event,
    limits: Limits,
    notices: Notices,
) -> Assignment | None:
    """Ask for a trial once; None when there is none, or when the worker is to stop.

    Whatever goes wrong is logged and tried again, ever more rarely, for as long as `limits.idle`.

    Raises:
        Unauthorized: the server wants another token.
        UnsupportedVersion: the server is of a release that this worker does not understand.
    """
    answers: SimpleQueue[Assignment | Exception | None] = SimpleQueue()

    def wait() -> None:
        try:
            answers.put(_answer(client, request, stop, limits, notices))
        except Exception as error:
            answers.put(error)

    # A thread, because the server holds the request and a signal must not wait for it.
    threading.Thread(target=wait, name="lease", daemon=True).start()
    while not stop.is_set():
        with suppress(Empty):
            answer = answers.get(timeout=limits.tick)
            if isinstance(answer, Exception):
                raise answer
            return answer
    with suppress(Empty):
        _give_back(client, answers.get(timeout=limits.tick))
    return None


def _answer(
    client: ServerClient,
    request: Callable[[], LeaseRequest],
    stop: threading.Event,
    limits: Limits,
    notices: Notices,
) -> Assignment | None:
    first = limits.clock()
    for delay in limits.backoff.delays():
        try:
            began = limits.clock()
            found = client.lease(request())
        except FATAL:
            raise
        except SegtuneError as error:
            notices.trouble(f"no trial from {client.server}: {error}")
            if stop.wait(pause(delay, error)) or limits.clock() - first >= limits.idle:
                return None
        else:
            notices.over(f"{client.server} answers again")
            if found is None and limits.clock() - began < 1.0:
                stop.wait(
                    min(1.0, limits.idle)
                )  # a server that does not hold requests must not be flooded
            return found
    raise AssertionError("delays have no end")


def _give_back(client: ServerClient, answer: Assignment | Exception | None) -> None:
    """Return a trial that was assigned while the worker was about to stop."""
    if isinstance(answer, Assignment):
        outcome = Outcome(kind=OutcomeKind.YIELDED, step=answer.last_step)
        with suppress(SegtuneError):
            client.finish(answer.lease, answer.token, outcome)
