"""A process of its own for the refreshes of live pages, so that rendering keeps no report waiting.

It runs the same application on the same database, and only reads. It begins with the first live
page; until it is there, and whenever it is not, pages are rendered by the server itself.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

from fastapi import FastAPI
from starlette.types import Message, Scope

from api.memory import freeze_start
from api.settings import Settings

logger = logging.getLogger(__name__)
PageMessages = tuple[Message, ...]
READING = "segtune.reading"  # in the scope of a request that has come to this process already
_KEPT = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string",
         "root_path", "headers", "client", "server")  # fmt: skip
_NICE = 10  # reports come first
_NO_UPKEEP = 86_400.0
_app: FastAPI
_loop: asyncio.AbstractEventLoop


class PageProcess:
    """Answers GET requests in a child process; belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update={"upkeep_seconds": _NO_UPKEEP})
        self._pool: ProcessPoolExecutor | None = None
        self.started: Future[int] | None = None  # the child's process id, once it can answer

    async def answer(self, scope: Scope) -> PageMessages | None:
        """The messages of the answer; None where the child is not there, or not yet."""
        if self._pool is None:
            self._start()
        if self._pool is None or self.started is None or not self.started.done():
            return None
        request = {key: scope[key] for key in _KEPT if key in scope}
        try:
            self.started.result()
            return await asyncio.get_running_loop().run_in_executor(self._pool, _answer, request)
        except (BrokenProcessPool, RuntimeError) as error:
            logger.warning("the process that renders live pages has ended: %s", error)
            self.close()
            return None

    def close(self) -> None:
        """End the child; the next live page starts another."""
        pool, self._pool, self.started = self._pool, None, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        self._pool = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_open,
            initargs=(self._settings,),
        )
        self.started = self._pool.submit(_ready)


def _open(settings: Settings) -> None:
    """Open the application in this child, which ends with its parent."""
    global _app, _loop  # what a process of the pool keeps
    from api.app import create_app

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _app, _loop = create_app(settings), asyncio.new_event_loop()
    threading.Thread(target=_loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(_enter(_app), _loop).result()
    freeze_start()


async def _enter(app: FastAPI) -> None:
    await app.router.lifespan_context(app).__aenter__()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _ready() -> int:
    """This child's process id, once it can answer."""
    return os.getpid()


def _answer(request: dict[str, Any]) -> PageMessages:
    return asyncio.run_coroutine_threadsafe(_ask({**request, READING: True}), _loop).result()


async def _ask(scope: Scope) -> PageMessages:
    """The messages of the answer."""
    messages = list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        messages.append(message)

    try:
        await _app(scope, receive, keep)
    except Exception:
        if not messages:
            raise
        logger.exception("a live page could not be rendered")
    return tuple(messages)
