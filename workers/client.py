"""The worker's side of the lease protocol over HTTP, with retries."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import urllib3
from pydantic import BaseModel, ValidationError

import tuner
from tuner.answers import Answer, error_of, save, unreachable
from tuner.errors import (
    Forbidden,
    LeaseLost,
    SegtuneError,
    ServerError,
    ServerFailing,
    ServerFull,
    ServerUnreachable,
    Unauthorized,
    UnsupportedVersion,
)
from tuner.spec.deployment import Measured
from tuner.spec.examples import PICTURES, SheetDetails
from tuner.spec.messages import (
    DRAINED,
    ArtifactRef,
    Assignment,
    LeaseRequest,
    LeaseStatus,
    Outcome,
    Report,
    ReportBatch,
    Unfitness,
)
from tuner.spec.validation import summary
from tuner.spec.vitals import Vitals
from tuner.transport import pool_for
from tuner.wording import quantity
from workers.limits import Backoff
from workers.outcomes import unfit
from workers.resuming import send_file
from workers.retries import RetryLimit, pause

logger = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
_API = "/api/v1/"
_CHUNK = 1 << 20
# What asking again does not change; everything else a worker logs, and goes on.
FATAL = (Unauthorized, Forbidden, UnsupportedVersion)
_MAY_PASS = (408, 425)


class ServerClient:
    """HTTP to one server; threads may share it.

    Every method makes one attempt and raises ServerUnreachable for what may pass (no connection;
    ServerBusy for 429; ServerFailing for 5xx and answers that cannot be read), LeaseLost for a
    stale lease, and another error of `tuner.errors` for a refusal.
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
        self._server_pool = pool_for(server)
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers = {**self._server_pool.headers, **bearer}
        self._token, self._is_drained = token, False

    def close(self) -> None:
        """Close the connections."""
        pool = self._server_pool.pool
        pool.clear() if isinstance(pool, urllib3.ProxyManager) else pool.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must appear in no log: the server's token."""
        return () if self._token is None else (self._token,)

    def lease(self, request: LeaseRequest) -> Assignment | None:
        """Ask for a trial; None when there is none within `request.wait` seconds.

        Raises:
            UnsupportedVersion: the answer is an assignment that this release cannot read; it is
                given back.
        """
        # Left out where there is nothing to say: a server of the release before does not know it.
        unsaid = {"unfit"} if request.unfit is None else None
        body = request.model_dump_json(exclude=unsaid)
        answer = self._send("POST", "leases", body, wait=request.wait)
        self._note_drained(answer.headers.get(DRAINED) == "true")
        if answer.status == HTTPStatus.NO_CONTENT:
            return None
        try:
            return Assignment.model_validate_json(answer.body)
        except ValidationError as error:
            raise self._unreadable(answer, error) from error

    def _note_drained(self, is_drained: bool) -> None:
        """Log once that a user has drained the worker, and once that this is over."""
        if is_drained and not self._is_drained:
            logger.info(
                "this worker is drained: it gets no trial until `segtune undrain` or the page of "
                "workers lets it go on; stop it whenever you like"
            )
        elif self._is_drained and not is_drained:
            logger.info("this worker is not drained any more")
        self._is_drained = is_drained

    def _unreadable(self, answer: Answer, error: ValidationError) -> SegtuneError:
        """The error for an answer that is not an assignment, or one of a newer server."""
        lease, token = _keys(answer)
        if lease is None or token is None:
            return _no(Assignment, answer, error)
        message = (
            f"{self.server} sent an assignment that segtune {tuner.__version__} cannot read "
            f"({summary(error, most=1)}); install the server's release on this worker"
        )
        with suppress(SegtuneError):
            self.finish(lease, token, unfit(Unfitness.MACHINE, 0, message))
        return UnsupportedVersion(message)

    def renew(self, lease: str, token: str, vitals: Vitals | None = None) -> LeaseStatus:
        """Say that the worker is alive, and how it is; a lease is not lost over what it says."""
        headers, path = {"Lease-Token": token}, _path(lease)
        if vitals is None:
            return _parse(LeaseStatus, self._send("PUT", path, headers=headers))
        body = vitals.model_dump_json(exclude_none=True)
        answer = self._send_or("PUT", path, body, headers=headers, instead=None)
        return _parse(LeaseStatus, answer)

    def report(self, lease: str, token: str, reports: tuple[Report, ...]) -> LeaseStatus:
        """Hand in reports, in rising order of step."""
        body = ReportBatch(reports=reports).model_dump_json()
        headers = {"Lease-Token": token}
        answer = self._send("POST", f"{_path(lease)}/reports", body, headers=headers)
        return _parse(LeaseStatus, answer)

    def measure(self, lease: str, token: str, measured: Measured) -> LeaseStatus:
        """Hand in what the trial's network costs where it is to run."""
        headers = {"Lease-Token": token}
        body = measured.model_dump_json()
        answer = self._send("POST", f"{_path(lease)}/measurements", body, headers=headers)
        return _parse(LeaseStatus, answer)

    def finish(self, lease: str, token: str, outcome: Outcome) -> None:
        """Say how the attempt ended; saying it twice is fine."""
        headers, path = {"Lease-Token": token}, f"{_path(lease)}/finish"
        body = outcome.model_dump_json()
        if outcome.log is None:
            self._send("POST", path, body, headers=headers)
            return
        # A server of the release before does not know the log, and refuses it.
        bare = outcome.model_copy(update={"log": None}).model_dump_json()
        self._send_or("POST", path, body, headers=headers, instead=bare)

    def upload(  # whose file, and all that is said of it
        self,
        lease: str,
        token: str,
        path: Path,
        *,
        kind: str,
        step: int | None = None,
        details: SheetDetails | None = None,
    ) -> ArtifactRef:
        """Stream a file up as the artifact `kind`; a file renamed over meanwhile does no harm.

        Of a large one that broke off only the rest goes up.

        What a browser shows keeps its file's name, whose ending says what it is.
        """
        with path.open("rb") as file:
            headers = {
                "Lease-Token": token,
                "Content-SHA256": hashlib.file_digest(file, "sha256").hexdigest(),
                "Content-Length": str(file.tell()),
                "Content-Type": "application/octet-stream",
            }
            if details is not None:
                headers["Artifact-Details"] = json.dumps(details.model_dump(mode="json"))
            name = path.name if kind in PICTURES else kind
            query = f"?kind={kind}" + (f"&step={step}" if step is not None else "")
            target = f"{_path(lease)}/artifacts/{quote(name, safe='')}{query}"
            answer = send_file(self._send, target, file, headers)
        return _parse(ArtifactRef, answer)

    def download(self, artifact: ArtifactRef, path: Path) -> Path:
        """Fetch an artifact into a file. Raises DigestMismatch, NotFound."""
        asked = f"artifacts/{artifact.id}"
        response = self._ask("GET", asked, preload_content=False)
        try:
            if response.status != HTTPStatus.OK:
                said = Answer(self._url(asked), response.status, response.data, response.headers)
                self._check(said)
            return save(self._url(asked), response.stream(_CHUNK), path, artifact.sha256)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            response.close()

    def patiently(
        self,
        call: Callable[[], T],
        *,
        give_up: Callable[[float], bool],
        retries: RetryLimit | None = None,
    ) -> T:
        """Repeat a call until it has an answer.

        `give_up(seconds)` waits that long and says whether to stop trying: then
        ServerUnreachable is raised. With `retries`, ServerError is raised when that is over.
        """
        for tries, delay in enumerate(self._backoff.delays()):
            try:
                result = call()
            except ServerUnreachable as error:
                if tries == 0:
                    logger.warning("%s", error)
                if retries is not None and retries.is_over(error):
                    raise ServerError(f"{error} ({quantity(retries.tries, 'time')})") from error
                if give_up(pause(delay, error)):
                    raise
            else:
                if tries:
                    logger.info("%s answers again", self.server)
                return result
        raise AssertionError("delays have no end")

    def _send_or(
        self, method: str, path: str, body: str, *, headers: Mapping[str, str], instead: str | None
    ) -> Answer:
        """Send a body, or where that is refused for good another one with less in it."""
        try:
            return self._send(method, path, body, headers=headers)
        except (LeaseLost, ServerUnreachable, *FATAL):
            raise
        except SegtuneError as error:
            logger.debug("%s refused a part of %s %s: %s", self.server, method, path, error)
            return self._send(method, path, instead, headers=headers)

    def _send(
        self,
        method: str,
        path: str,
        body: str | Iterator[bytes] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait: float = 0.0,
    ) -> Answer:
        kind = {"Content-Type": "application/json"} if isinstance(body, str) else {}
        response = self._ask(
            method,
            path,
            body=body.encode() if isinstance(body, str) else body,
            headers={**kind, **(headers or {})},
            timeout=urllib3.Timeout(connect=self._timeout, read=self._timeout + wait),
        )
        answer = Answer(self._url(path), response.status, response.data, response.headers)
        self._check(answer)
        return answer

    def _ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **request: Any
    ) -> urllib3.BaseHTTPResponse:
        """One attempt; `preload_content=False` leaves the body to be read."""
        request.setdefault("timeout", self._timeout)
        try:
            return self._server_pool.pool.urlopen(
                method,
                f"{self._server_pool.base}{_API}{path}",
                headers={**self._headers, **(headers or {})},
                retries=False,
                redirect=False,
                **request,
            )
        except (urllib3.exceptions.HTTPError, ValueError) as error:  # ValueError: of a header
            raise self._unreachable(error) from error

    def _url(self, path: str) -> str:
        return f"{self.server}{_API}{path}"

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        """The error for a server that did not answer, with what the system said of it."""
        said = error.__cause__ or error.__context__ or error
        return unreachable(self.server, said if isinstance(said, Exception) else error)

    def _check(self, answer: Answer) -> None:
        if answer.is_success:
            return
        status, error = answer.status, error_of(answer)
        if status == HTTPStatus.INSUFFICIENT_STORAGE:
            raise ServerFull(f"{error}; asking again later")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _MAY_PASS:
            raise ServerFailing(f"{error}; asking again later")
        if status == HTTPStatus.FORBIDDEN and "urn:segtune:" not in answer.text:
            # Some gateway between us and the server, which has no say about our token.
            raise ServerError(f"{answer.url} answered 403: {answer.text[:200]}")
        raise error


def _parse(model: type[M], answer: Answer) -> M:
    try:
        return model.model_validate_json(answer.body)
    except ValidationError as error:
        raise _no(model, answer, error) from error


def _no(model: type[BaseModel], answer: Answer, error: ValidationError) -> ServerFailing:
    # A proxy's own page while the server is away looks like this, so it may pass.
    return ServerFailing(
        f"{answer.url} answered with no {model.__name__}: "
        f"{summary(error, most=1)}; asking again later"
    )


def _keys(answer: Answer) -> tuple[str | None, str | None]:
    """Lease and token of an answer that has both."""
    with suppress(ValueError):
        body = answer.json()
        if isinstance(body, dict):
            lease, token = body.get("lease"), body.get("token")
            if isinstance(lease, str) and isinstance(token, str):
                return lease, token
    return None, None


def _path(lease: str) -> str:
    return f"leases/{quote(lease, safe='')}"
