"""HTTP over one connection that is kept, at a cost that leaves the processor to the server."""

import asyncio
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes


class Connection:
    """Asks one request after another, as a worker's pool does; connects when it has to."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        """The answer to a request. Raises OSError, IncompleteReadError where none comes."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        content = body.encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            "Content-Type: application/json",
            f"Content-Length: {len(content)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            length = next(
                (int(line.partition(":")[2]) for line in head if line.startswith("content-length")),
                0,
            )
            return Answer(int(head[0].split()[1]), await reader.readexactly(length))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._streams[1].close()
            self._streams = None
