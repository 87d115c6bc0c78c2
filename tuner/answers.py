"""What comes back over HTTP, for every client of the server: errors, event streams and files."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tuner.errors import (
    Conflict,
    DigestMismatch,
    InvalidSpec,
    LeaseLost,
    NotFound,
    Problem,
    SegtuneError,
    ServerError,
    ServerUnreachable,
    Unauthorized,
    UnsupportedVersion,
)

_BY_TYPE: Mapping[str, type[SegtuneError]] = {
    "lease-lost": LeaseLost,
    "digest-mismatch": DigestMismatch,
}
_BY_STATUS: Mapping[int, type[SegtuneError]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    426: UnsupportedVersion,
}


def messages(lines: Iterable[str]) -> Iterator[str]:
    """The data of each message of a server-sent event stream; comments are keep-alives."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def save(response: httpx.Response, path: Path, sha256: str | None = None) -> Path:
    """Stream an answer into a file that appears only when it is whole and its digest is right.

    Raises:
        DigestMismatch: the bytes do not have the digest given, or that of the answer's ETag.
        ServerUnreachable: the stream broke off.
    """
    wanted = sha256 or response.headers.get("ETag", "").removeprefix("W/").strip('"')
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in response.iter_bytes():
                digest.update(chunk)
                file.write(chunk)
        if wanted and digest.hexdigest() != wanted:
            raise DigestMismatch(
                f"{response.request.url} sent bytes with sha256 {digest.hexdigest()}, not "
                f"{wanted}; fetch it again"
            )
        Path(name).replace(path)
    except httpx.TransportError as error:
        raise unreachable(str(response.request.url), error) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return path


def unreachable(server: str, error: Exception) -> ServerUnreachable:
    """The error for a server that does not answer."""
    return ServerUnreachable(
        f"{server} does not answer ({type(error).__name__}: {error}); "
        "is `segtune up` or `segtune serve` running there?"
    )


def error_of(response: httpx.Response) -> SegtuneError:
    """The error that a refusal stands for: an RFC 9457 problem body, or whatever came."""
    body = _problem_body(response)
    detail = str(body.get("detail") or body.get("title") or response.text[:500])
    if problems := _problems(body):
        return InvalidSpec(problems)
    kind = str(body.get("type", "")).removeprefix("urn:segtune:")
    chosen = _BY_TYPE.get(kind) or _BY_STATUS.get(response.status_code)
    if chosen is Unauthorized:
        detail += "; set SEGTUNE_TOKEN to the server's token"
    if chosen is not None:
        return chosen(detail)
    return ServerError(f"{response.request.url} answered {response.status_code}: {detail}")


def _problems(body: Mapping[str, Any]) -> list[Problem]:
    """The mistakes that a refusal lists; none where the list is not as ours are."""
    with suppress(KeyError, TypeError):
        return [Problem(tuple(p["location"]), str(p["message"])) for p in body["problems"]]
    return []


def _problem_body(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}
