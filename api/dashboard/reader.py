"""A process of its own for the refreshes of live pages, so that rendering keeps no report waiting.

It begins with the first live page. Until it is there, and whenever it is not, the server renders
by itself: nothing that happens to the child may keep a page waiting, or the server from stopping.
"""

import asyncio
import itertools
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from starlette.types import Message, Scope

from api.dashboard.packets import NotAPacket, Packet, read, write
from api.settings import Settings

logger = logging.getLogger(__name__)
PageMessages = tuple[Message, ...]
READING = "segtune.reading"  # in the scope of a request that has come to the child already
_KEPT = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string",
         "root_path", "headers", "server")  # fmt: skip
_START_SECONDS = 60.0
_ENDING_SECONDS = 2.0
# In a session of its own, so that Ctrl-C in a terminal reaches the server alone, which ends it.
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from api.renderer import main; main(parent={parent})"
)


class ChildLost(Exception):
    """The child is of no use any more; the message says why."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """Seconds to wait for a child, and before another one is tried."""

    silence: float = 5.0  # while it works, it says so every second
    answer: float = 30.0
    pause: float = 5.0  # after the first one was lost; twice as much each time
    longest_pause: float = 300.0


class Pauses:
    """When another child may start, later each time that one is lost soon after its start."""

    def __init__(self, limits: ChildLimits) -> None:
        self._limits = limits
        self._pause, self._until = 0.0, float("-inf")

    def are_over(self, now: float) -> bool:
        """Whether one may start."""
        return now >= self._until

    def lost(self, now: float, *, began: float) -> float:
        """Note that one is lost; gives the seconds until the next may start."""
        lived_long = now - began >= self._limits.longest_pause
        longer = self._limits.pause if lived_long or not self._pause else 2 * self._pause
        self._pause = min(longer, self._limits.longest_pause)
        self._until = now + self._pause
        return self._pause


class PageProcess:
    """Answers GET requests in a child process; belongs to one event loop."""

    def __init__(self, settings: Settings, limits: ChildLimits | None = None) -> None:
        self._settings = settings
        self._limits = limits or ChildLimits()
        self._pauses = Pauses(self._limits)
        self._child: _Child | None = None
        self._is_closed = False

    @property
    def process(self) -> int | None:
        """The child's process id, once it can answer."""
        child = self._child
        return child.process.pid if child is not None and child.is_ready else None

    async def answer(self, scope: Scope) -> PageMessages | None:
        """The messages of the answer; None where the child is not there, or not yet."""
        child = self._child or self._start()
        if child is None:
            return None
        try:
            if not child.is_ready:
                child.check_start()
                return None
            return await child.ask({key: scope[key] for key in _KEPT if key in scope})
        except ChildLost as why:
            self._lose(child, str(why))
            return None

    def close(self) -> None:
        """End the child and all that wait for it, for good."""
        self._is_closed = True
        child, self._child = self._child, None
        if child is not None:
            child.end("the server stops")

    def _start(self) -> "_Child | None":
        now = monotonic()
        if self._is_closed or not self._pauses.are_over(now):
            return None
        try:
            child = _Child(self._settings, self._limits)
        except OSError as error:
            self._warn(f"it cannot start: {error.strerror}", began=now)
            return None
        self._child = child
        child.listening.add_done_callback(lambda task: self._lose(child, _ending_of(task)))
        return child

    def _lose(self, child: "_Child", why: str) -> None:
        if child is not self._child:
            return  # by another who waited for it, or closed
        self._child = None
        child.end(why)
        self._warn(why, began=child.began)

    def _warn(self, why: str, *, began: float) -> None:
        pause = self._pauses.lost(monotonic(), began=began)
        logger.warning(
            "the server renders live pages by itself, because of the process that did so: %s; the "
            "next one may start in %.0f s",
            why,
            pause,
        )


class _Child:
    """A child that runs, and what it has been asked. Raises OSError where it cannot start."""

    def __init__(self, settings: Settings, limits: ChildLimits) -> None:
        self._settings, self._limits = settings, limits
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[PageMessages]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self.is_ready = False
        self.began = self._heard = monotonic()
        ours, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", _program()],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.listening = asyncio.create_task(self._listen(ours))

    def check_start(self) -> None:
        """Raise ChildLost if it should have been ready by now."""
        if monotonic() - self.began > _START_SECONDS:
            raise ChildLost(f"it was not ready after {_START_SECONDS:.0f} s")

    async def ask(self, request: dict[str, Any]) -> PageMessages | None:
        """Its answer; None if it has none. Raises ChildLost."""
        assert self._writer is not None
        number, asked = next(self._numbers), monotonic()
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        write(self._writer, Packet(number, request))
        wait = self._limits.silence
        try:
            while not answer.done():
                await asyncio.wait([answer], timeout=wait)
                now = monotonic()
                silent, worked = now - max(self._heard, asked), now - asked
                if not answer.done() and silent >= self._limits.silence:
                    raise ChildLost(f"it has been silent for {silent:.1f} s")
                if not answer.done() and worked >= self._limits.answer:
                    raise ChildLost(f"it has worked on {request['path']} for {worked:.0f} s")
                wait = min(self._limits.silence - silent, self._limits.answer - worked)
            return answer.result() or None
        finally:
            del self._asked[number]

    def end(self, why: str) -> None:
        """End the process, which has nothing to lose, and let nobody wait for it."""
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ChildLost(why))
        self.listening.cancel()
        self.process.kill()  # also one that was stopped
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDING_SECONDS)

    async def _listen(self, ours: socket.socket) -> None:
        """Hear what it says until it ends. Raises ChildLost."""
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            write(writer, Packet(0, self._settings))
            while True:
                self._hear(await read(reader), writer)
        except (OSError, NotAPacket) as error:
            raise ChildLost("it has ended") from error
        finally:
            writer.transport.abort()

    def _hear(self, packet: Packet, writer: asyncio.StreamWriter) -> None:
        self._heard = monotonic()
        answer = self._asked.get(packet.number)
        if isinstance(packet.content, str):
            raise ChildLost(packet.content)
        if packet.number == 0:
            self._writer, self.is_ready = writer, True
        elif answer is not None and packet.content is not None and not answer.done():
            answer.set_result(packet.content)


def _program() -> str:
    """What the child runs: with the same modules as this process, whatever lies about here."""
    return _PROGRAM.format(path=sys.path, parent=os.getpid())


def _ending_of(listening: "asyncio.Task[None]") -> str:
    error = None if listening.cancelled() else listening.exception()
    return str(error) if isinstance(error, ChildLost) else f"it cannot be heard: {error!r}"
