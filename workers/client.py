"""The worker's side of the lease protocol over HTTP, with retries."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from tuner.answers import error_of, save, unreachable
from tuner.errors import ServerUnreachable
from tuner.spec.messages import (
    ArtifactRef,
    Assignment,
    LeaseRequest,
    LeaseStatus,
    Outcome,
    Report,
    ReportBatch,
)
from tuner.transport import to
from workers.backoff import Backoff

log = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_CHUNK = 1 << 20


class ServerClient:
    """HTTP to one server; threads may share it.

    Every method makes one attempt and raises ServerUnreachable for what may pass (no connection,
    429, 5xx), LeaseLost for a stale lease, and another error of `tuner.errors` for a refusal.
    `patiently` repeats a call until there is an answer.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        backoff: Backoff | None = None,
        timeout: float = 10.0,
    ) -> None:
        """Connect lazily; `timeout` is for one read or write, in seconds."""
        self.server = server
        self._timeout = timeout
        self._backoff = backoff or Backoff()
        self._http = httpx.Client(
            base_url=f"{server}/api/v1/",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            transport=to(server),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def lease(self, request: LeaseRequest) -> Assignment | None:
        """Ask for a trial; None when there is none within `request.wait` seconds."""
        response = self._send("POST", "leases", request.model_dump_json(), wait=request.wait)
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        return _parse(Assignment, response)

    def renew(self, lease: str, token: str) -> LeaseStatus:
        """Say that the worker is alive."""
        return _parse(LeaseStatus, self._send("PUT", _path(lease), headers={"Lease-Token": token}))

    def report(self, lease: str, token: str, reports: tuple[Report, ...]) -> LeaseStatus:
        """Hand in reports, in rising order of step."""
        body = ReportBatch(reports=reports).model_dump_json()
        headers = {"Lease-Token": token}
        answer = self._send("POST", f"{_path(lease)}/reports", body, headers=headers)
        return _parse(LeaseStatus, answer)

    def finish(self, lease: str, token: str, outcome: Outcome) -> None:
        """Say how the attempt ended; saying it twice is fine."""
        body = outcome.model_dump_json()
        self._send("POST", f"{_path(lease)}/finish", body, headers={"Lease-Token": token})

    def upload(
        self, lease: str, token: str, path: Path, *, kind: str, step: int | None = None
    ) -> ArtifactRef:
        """Stream a file up as the artifact `kind`; a file renamed over meanwhile does no harm."""
        with path.open("rb") as file:
            headers = {
                "Lease-Token": token,
                "Content-SHA256": hashlib.file_digest(file, "sha256").hexdigest(),
                "Content-Length": str(file.tell()),
                "Content-Type": "application/octet-stream",
            }
            file.seek(0)
            query = f"?kind={kind}" + (f"&step={step}" if step is not None else "")
            target = f"{_path(lease)}/artifacts/{quote(kind, safe='')}{query}"
            answer = self._send("PUT", target, _chunks(file), headers=headers, wait=60)
        return _parse(ArtifactRef, answer)

    def download(self, artifact: ArtifactRef, path: Path) -> Path:
        """Fetch an artifact into a file. Raises DigestMismatch, NotFound."""
        try:
            with self._http.stream("GET", f"artifacts/{artifact.id}") as response:
                if not response.is_success:
                    response.read()
                self._check(response)
                return save(response, path, artifact.sha256)
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error

    def patiently(self, call: Callable[[], T], *, give_up: Callable[[float], bool]) -> T:
        """Repeat a call until it has an answer.

        `give_up(seconds)` waits that long and says whether to stop trying: then
        ServerUnreachable is raised.
        """
        for tries, delay in enumerate(self._backoff.delays()):
            try:
                result = call()
            except ServerUnreachable as error:
                if tries == 0:
                    log.warning("%s", error)
                if give_up(delay):
                    raise
            else:
                if tries:
                    log.info("%s answers again", self.server)
                return result
        raise AssertionError("delays have no end")

    def _send(
        self,
        method: str,
        path: str,
        body: str | Iterator[bytes] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> httpx.Response:
        kind = {"Content-Type": "application/json"} if isinstance(body, str) else {}
        timeout = httpx.Timeout(self._timeout, read=self._timeout + wait)
        try:
            response = self._http.request(
                method, path, content=body, headers={**kind, **(headers or {})}, timeout=timeout
            )
        except httpx.TransportError as error:
            raise unreachable(self.server, error) from error
        self._check(response)
        return response

    def _check(self, response: httpx.Response) -> None:
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise ServerUnreachable(f"{error_of(response)}; asking again later")
        if not response.is_success:
            raise error_of(response)


def _parse(model: type[M], response: httpx.Response) -> M:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        # A proxy's own page while the server is away looks like this, so it may pass.
        raise ServerUnreachable(
            f"{response.request.url} answered with no {model.__name__}: {error}; asking again later"
        ) from error


def _path(lease: str) -> str:
    return f"leases/{quote(lease, safe='')}"


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
