"""A TCP proxy between workers and server: connections are cut, refused, delayed or swallowed.

Each worker has a link of its own, so that a fault may befall one of them alone.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from enum import StrEnum
from threading import Thread
from typing import Any, NamedTuple

_CHUNK = 1 << 16
_ANSWER = b"HTTP/1.1 "
_SAID = 400  # bytes kept of an answer that says that the server failed


class Mode(StrEnum):
    """What a link does with what comes."""

    OPEN = "open"
    REFUSED = "refused"  # each connection is reset at once
    DEAF = "deaf"  # requests arrive, answers do not: the connection breaks in their place
    SILENT = "silent"  # nothing arrives, and nobody says so


class Failure(NamedTuple):
    """An answer with a status of 500 or more."""

    at: float
    status: int
    text: str


class Link:
    """The way of one worker to the server."""

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.mode = Mode.OPEN
        self.delay = 0.0  # seconds that each part of a message is held back
        self.answers = 0
        self.failures: list[Failure] = []
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> asyncio.Server:
        """Accept connections, on any free port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        """Reset every connection."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSED:
            _reset(writer)
            return
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:  # the server is away
            _reset(writer)
            return
        pair = {writer, upstream[1]}
        self._writers |= pair
        ways = [
            asyncio.create_task(self._relay(reader, upstream[1], is_answer=False)),
            asyncio.create_task(self._relay(upstream[0], writer, is_answer=True)),
        ]
        try:
            # Nobody of ours keeps one half of a connection open.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for each in pair:
                each.close()
            self._writers -= pair

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if is_answer:
                    self._note(data)
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.mode is Mode.SILENT:
                    continue
                if self.mode is Mode.DEAF and is_answer:
                    self.cut()
                    return
                writer.write(data)
                await writer.drain()

    def _note(self, data: bytes) -> None:
        if not data.startswith(_ANSWER):
            return
        self.answers += 1
        status = data[len(_ANSWER) :][:3]
        if status >= b"500":
            text = data[:_SAID].decode(errors="replace")
            self.failures.append(Failure(time.monotonic(), int(status), text))


class Proxy:
    """Links to one server, served by a thread until it is closed."""

    def __init__(self, upstream: int, names: tuple[str, ...]) -> None:
        self.links = {name: Link(upstream) for name in names}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._servers = [self._run(link.listen()).result() for link in self.links.values()]

    def url(self, name: str) -> str:
        """Where a worker finds the server."""
        return f"http://127.0.0.1:{self.links[name].port}"

    def call(self, change: Callable[[], None]) -> None:
        """Have a link changed by the thread that serves it, and wait for that."""

        async def changed() -> None:
            change()

        self._run(changed()).result()

    @property
    def failures(self) -> list[Failure]:
        """Every answer of 500 or more that a worker would have got."""
        return sorted(failure for link in self.links.values() for failure in link.failures)

    def close(self) -> None:
        """Cut all connections and end the thread."""

        async def end() -> None:
            for server in self._servers:
                server.close()
            for link in self.links.values():
                link.cut()
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self._run(end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a crash does: the other side gets a reset, not an end."""
    found = writer.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
