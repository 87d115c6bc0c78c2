"""What comes back over HTTP, for every client of the server: errors, event streams and files."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tuner.atomic import replacing
from tuner.errors import (
    Conflict,
    DamagedArtifact,
    DigestMismatch,
    Forbidden,
    InvalidSpec,
    LeaseLost,
    NotFound,
    Problem,
    SegtuneError,
    ServerBusy,
    ServerError,
    ServerUnreachable,
    StorageFull,
    Unauthorized,
    UnsupportedVersion,
    UploadMoved,
)

_BY_TYPE: Mapping[str, type[SegtuneError]] = {
    "lease-lost": LeaseLost,
    "damaged-artifact": DamagedArtifact,
    "digest-mismatch": DigestMismatch,
    "storage-full": StorageFull,
    "upload-moved": UploadMoved,
}
_BY_STATUS: Mapping[int, type[SegtuneError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    426: UnsupportedVersion,
}


_MOST_SECONDS = 60.0  # to wait before the next request, whatever an answer says


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whichever library has asked."""

    url: str
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text, for people."""
        return self.body.decode("utf-8", "replace")

    @property
    def retry_after(self) -> float:
        """Seconds until the next request may come; 0 where that is not said, or as a date."""
        said = next((v for name, v in self.headers.items() if name.lower() == "retry-after"), "")
        return min(float(said), _MOST_SECONDS) if said.isdecimal() else 0.0

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


def messages(lines: Iterable[str]) -> Iterator[str]:
    """The data of each message of a server-sent event stream; comments are keep-alives."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def save(url: str, chunks: Iterable[bytes], path: Path, sha256: str) -> Path:
    """Stream an answer into a file that appears only when it is whole and its digest is right.

    Args:
        sha256: what the digest must be; empty where nobody has said it.

    Raises:
        DigestMismatch: the bytes have another digest.
    """
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        with draft.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if sha256 and digest.hexdigest() != sha256:
            raise DigestMismatch(
                f"{url} sent bytes with sha256 {digest.hexdigest()}, not {sha256}; fetch it again"
            )
    return path


def unreachable(server: str, error: Exception) -> ServerUnreachable:
    """The error for a server that does not answer."""
    return ServerUnreachable(
        f"{server} does not answer ({type(error).__name__}: {error}); "
        "is `segtune up` or `segtune serve` running there?"
    )


def error_of(answer: Answer) -> SegtuneError:
    """The error that a refusal stands for: an RFC 9457 problem body, or whatever came."""
    body = _problem_body(answer)
    detail = str(body.get("detail") or body.get("title") or answer.text[:500])
    if problems := _problems(body):
        return InvalidSpec(problems)
    kind = str(body.get("type", "")).removeprefix("urn:segtune:")
    chosen = _BY_TYPE.get(kind) or _BY_STATUS.get(answer.status)
    if chosen is Unauthorized:
        detail += "; set SEGTUNE_TOKEN to the server's token"
    if answer.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.LOCKED}:
        return ServerBusy(f"{answer.url} answered {answer.status}: {detail}", answer.retry_after)
    if chosen is not None:
        return chosen(detail)
    return ServerError(f"{answer.url} answered {answer.status}: {detail}")


def _problems(body: Mapping[str, Any]) -> list[Problem]:
    """The mistakes that a refusal lists; empty where the list has another form."""
    with suppress(KeyError, TypeError):
        return [Problem(tuple(p["location"]), str(p["message"])) for p in body["problems"]]
    return []


def _problem_body(answer: Answer) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}
