"""Files on their way up: a large one that broke off goes on where its bytes ended."""

import logging
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Protocol

from tuner.answers import Answer
from tuner.errors import (
    Conflict,
    DamagedArtifact,
    DigestMismatch,
    Forbidden,
    LeaseLost,
    SegtuneError,
    ServerUnreachable,
    Unauthorized,
    UploadMoved,
)
from tuner.spec.messages import RESUMABLE

logger = logging.getLogger(__name__)
_CHUNK = 1 << 20
_WAIT = 60.0  # seconds for an answer, after the last byte
_RATE = 16 * 2**20  # bytes a second that a server stores at least, after the last byte


class Send(Protocol):
    """One request to the server: its answer, or an error of ours."""

    def __call__(
        self,
        method: str,
        path: str,
        body: Iterator[bytes] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> Answer:
        """Raises ServerUnreachable where asking again may help, or what the server refuses."""


def send_file(send: Send, target: str, file: BinaryIO, headers: Mapping[str, str]) -> Answer:
    """Send a file, or the rest of it if the server has its beginning.

    Args:
        target: path and query of the artifact.
        headers: of a request with the whole file, `Content-Length` among them.
    """
    size = int(headers["Content-Length"])
    wait = _WAIT + size / _RATE
    offset = _offset(send, target.partition("?")[0], headers) if size >= RESUMABLE else 0
    if 0 < offset <= size:
        logger.info("%s: the server has %s of %s bytes; the rest follows", target, offset, size)
        rest = {
            **headers,
            "Content-Length": str(size - offset),
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1",
        }
        file.seek(offset)
        try:
            return send("PATCH", target, _chunks(file), headers=rest, wait=wait)
        except (UploadMoved, DamagedArtifact, DigestMismatch) as error:
            logger.info("%s: the whole file follows: %s", target, error)
    file.seek(0)
    return send("PUT", target, _chunks(file), headers=headers, wait=wait)


def _offset(send: Send, path: str, headers: Mapping[str, str]) -> int:
    """How many bytes the server has; 0 if it is of a release that does not know.

    Raises:
        LeaseLost: the server's refusal, which has no body here.
    """
    known = {name: headers[name] for name in ("Lease-Token", "Content-SHA256")}
    try:
        answer = send("HEAD", path, headers=known)
    except (ServerUnreachable, Unauthorized, Forbidden):
        raise
    except Conflict:
        raise LeaseLost("the lease has ended; the file is not sent") from None
    except SegtuneError as error:
        logger.debug("%s does not say how far it has come: %s", path, error)
        return 0
    said = answer.headers.get("Upload-Offset", "")
    return int(said) if said.isdecimal() and len(said) < 20 else 0


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
