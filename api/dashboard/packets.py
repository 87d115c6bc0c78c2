"""What the server and the process that renders live pages say to each other, piece by piece."""

import asyncio
import pickle
from typing import Any, NamedTuple

_LENGTH_BYTES = 8


class NotAPacket(Exception):
    """The other side has ended, or says something else."""


class Packet(NamedTuple):
    """One piece: which question it belongs to (0: none), and what it says."""

    number: int
    content: Any


def write(writer: asyncio.StreamWriter, packet: Packet) -> None:
    """Send a packet as soon as the other side takes it; waits for nothing."""
    body = pickle.dumps(tuple(packet), protocol=pickle.HIGHEST_PROTOCOL)
    writer.write(len(body).to_bytes(_LENGTH_BYTES) + body)


async def read(reader: asyncio.StreamReader) -> Packet:
    """The next packet, of a process that we trust as ourselves. Raises NotAPacket, OSError."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
        body = await reader.readexactly(length)
        return Packet(*pickle.loads(body))  # noqa: S301  # of no one but our own child or parent
    except (asyncio.IncompleteReadError, pickle.UnpicklingError) as error:
        raise NotAPacket from error
