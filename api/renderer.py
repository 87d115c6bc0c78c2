"""The process that renders live pages for a server: what it runs (see `api.dashboard.reader`).

It reads the server's database and does nothing else: no migration, no upkeep.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.types import Message

from api.dashboard.packets import NotAPacket, Packet, read, write
from api.dashboard.reader import READING, PageMessages
from api.memory import freeze_start
from api.settings import Settings
from tuner import logs

logger = logging.getLogger(__name__)
THREADS = 2  # and so as many connections to the database
_NICE = 5  # reports come first
_BEAT_SECONDS = 1.0
_LOOK_SECONDS = 0.5


def main(*, parent: int) -> None:
    """Answer what comes through standard input, until the server ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    asyncio.run(_serve(socket.socket(fileno=os.dup(0))))


def _end_with(parent: int) -> None:
    """End when the server has, also while this process is busy with its start."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    _leave()


def _leave() -> None:
    sys.stderr.flush()
    os._exit(0)  # waits for no page


async def _serve(connection: socket.socket) -> None:
    """Answer every question until the server ends, and with it this process."""
    with suppress(NotAPacket, OSError):
        await answer_all(connection)
    _leave()


async def answer_all(connection: socket.socket) -> None:
    """Answer every question at once as it comes. Raises NotAPacket, OSError at the end."""
    reader, writer = await asyncio.open_connection(sock=connection)
    settings: Settings = (await read(reader)).content
    logs.configure(settings.log_level, settings.log_format)
    async with AsyncExitStack() as stack:
        stack.callback(writer.transport.abort)
        try:
            app = await stack.enter_async_context(opened(settings))
        except Exception as error:
            write(writer, Packet(0, f"it cannot start: {error}"))
            writer.write_eof()
            await reader.read()  # the server has heard it, and ends this process
            return
        write(writer, Packet(0, None))
        answering = set[asyncio.Task[None]]()
        while True:
            task = asyncio.create_task(_answer(app, await read(reader), writer))
            answering.add(task)
            task.add_done_callback(answering.discard)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[FastAPI]:
    """Give the application, ready to be asked. Raises whatever keeps it from that."""
    from api.app import create_reading_app  # the server reads our words meanwhile

    current_default_thread_limiter().total_tokens = THREADS
    app = create_reading_app(settings)
    async with app.router.lifespan_context(app):
        freeze_start()
        yield app


async def _answer(app: FastAPI, packet: Packet, writer: asyncio.StreamWriter) -> None:
    rendering = asyncio.create_task(ask(app, packet.content))
    while not (await asyncio.wait([rendering], timeout=_BEAT_SECONDS))[0]:
        write(writer, Packet(packet.number, None))
    write(writer, Packet(packet.number, rendering.result()))


async def ask(app: FastAPI, request: dict[str, Any]) -> PageMessages:
    """The messages of the answer to a GET request; none if it could not be made."""
    messages = list[Message]()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        messages.append(message)

    try:
        await app({**request, READING: True}, receive, keep)
    except Exception:
        logger.exception("the live page %s could not be rendered", request["path"])
        return ()
    return tuple(messages)
