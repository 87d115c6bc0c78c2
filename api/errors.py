"""Errors as RFC 9457 problem bodies: the one table from an error's type to status and title."""

import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner import errors
from tuner.errors import InvalidInput, Problem, SegtuneError
from tuner.spec.validation import problems

logger = logging.getLogger(__name__)


class TooSlow(SegtuneError):
    """The body stands still, or trickles."""


class TooManyRequests(SegtuneError):
    """The token has asked too often; it may again in so many seconds."""

    def __init__(self, message: str, seconds: int = 1) -> None:
        self.seconds = seconds
        super().__init__(message)


class UnsupportedMedia(SegtuneError):
    """The body says that it is neither JSON nor YAML, or that it is packed."""


class Misdirected(SegtuneError):
    """The request was addressed to a host name that this server does not have."""


# An error that is not listed has the entry of its nearest ancestor that is.
TABLE: Mapping[type[SegtuneError], tuple[int, str]] = {
    InvalidInput: (422, "The input is not valid"),
    errors.UnknownComponent: (422, "No component has this name"),
    errors.NotFound: (404, "Not found"),
    errors.Conflict: (409, "The present state does not allow this"),
    errors.LeaseLost: (409, "The lease has ended"),
    errors.UploadMoved: (409, "The upload is at another offset"),
    errors.UploadBusy: (423, "Another request writes this upload"),
    errors.IllegalMove: (409, "This state may not follow"),
    errors.Unreadable: (409, "This release cannot read what is stored"),
    errors.Unauthorized: (401, "A valid token is needed"),
    errors.Forbidden: (403, "Refused"),
    errors.StorageError: (503, "The storage does not answer"),
    errors.DigestMismatch: (422, "The bytes are not those announced"),
    errors.DamagedArtifact: (410, "The file is damaged"),
    errors.StorageFull: (507, "The server's disk is full"),
    errors.DataError: (422, "The data set cannot be used"),
    errors.Malformed: (400, "The body cannot be read"),
    TooSlow: (408, "The body does not come"),
    errors.TooLarge: (413, "The body is too large"),
    TooManyRequests: (429, "Too many requests"),
    UnsupportedMedia: (415, "The body's type is not known here"),
    Misdirected: (421, "Not a name of this server"),
    SegtuneError: (500, "The server failed"),
}
# The `type` of an error that clients have known by another name than its own.
_TYPES: Mapping[type[SegtuneError], str] = {InvalidInput: "invalid-spec"}
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    408: {"Connection": "close"},  # the rest of the body is not waited for
    423: {"Retry-After": "2"},
    503: {"Retry-After": "2"},
}


class ProblemItem(BaseModel):
    """One mistake in a request or document."""

    location: tuple[str | int, ...]
    message: str


class ProblemBody(BaseModel):
    """An error (RFC 9457, application/problem+json)."""

    model_config = ConfigDict(title="Problem")
    type: str
    title: str
    status: int
    detail: str
    instance: str
    problems: tuple[ProblemItem, ...] | None = None
    incident: str | None = None


def look_up(kind: type[SegtuneError]) -> tuple[int, str]:
    """Status and title of an error's type."""
    return next(TABLE[ancestor] for ancestor in kind.__mro__ if ancestor in TABLE)


def of_error(error: SegtuneError, path: str) -> ProblemBody:
    """The body that an error of ours becomes."""
    status, title = look_up(type(error))
    items = _items(error.problems) if isinstance(error, InvalidInput) else None
    kind = _TYPES.get(type(error)) or _slug(type(error).__name__)
    return _body(kind, title, status, detail=str(error), instance=path, problems=items)


def of_validation(error: RequestValidationError, path: str) -> ProblemBody:
    """The body for path, query or header values that do not fit."""
    found = problems(error.errors())
    return _body(
        "invalid-request",
        "The request is not valid",
        422,
        detail="; ".join(str(problem) for problem in found),
        instance=path,
        problems=_items(found),
    )


def of_status(status: int, detail: str, path: str) -> ProblemBody:
    """The body for what routing itself refuses."""
    title = HTTPStatus(status).phrase
    return _body(_slug(title), title, status, detail=detail, instance=path)


def of_incident(incident: str, path: str) -> ProblemBody:
    """The body for an error that nobody expected: an id to find in the log, and nothing else."""
    detail = f"an unexpected error, logged as incident {incident}"
    title = "The server failed"
    body = _body("internal-error", title, 500, detail=detail, instance=path)
    return body.model_copy(update={"incident": incident})


def respond(body: ProblemBody, headers: Mapping[str, str] | None = None) -> Response:
    """A problem body as a response."""
    return Response(
        to_json(body, exclude_none=True),
        body.status,
        {**(headers or {}), **_HEADERS.get(body.status, {})},
        "application/problem+json",
    )


def install(app: FastAPI) -> None:
    """Make every error of the app a problem body, for browsers' pages a page."""
    app.add_exception_handler(SegtuneError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_status)
    app.add_middleware(Incidents)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SegtuneError)
    body = of_error(error, request.url.path)
    if body.status >= 500:
        logger.error("%s %s: %s", request.method, request.url.path, error)
    at = {"Upload-Offset": str(error.offset)} if isinstance(error, errors.UploadMoved) else None
    return await _shown(request, body, at)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _shown(request, of_validation(error, request.url.path))


async def _on_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    detail = str(error.detail)
    if detail == HTTPStatus(error.status_code).phrase:
        detail = (
            f"{request.method} {path}: {detail.lower()}; the routes are in /api/v1/openapi.json"
        )
    body = of_status(error.status_code, detail, path)
    return await _shown(request, body, error.headers)


async def _shown(
    request: Request, body: ProblemBody, headers: Mapping[str, str] | None = None
) -> Response:
    page = getattr(request.app.state, "error_page", None)
    is_page = not request.url.path.startswith(("/api/", "/health/", "/metrics"))
    if page and is_page and "text/html" in request.headers.get("accept", ""):
        shown: Response = await run_in_threadpool(page, request, body)
        return shown
    return respond(body, headers)


class Incidents:
    """Answer an error that nobody expected with a problem body; the log keeps the traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            if started:
                raise
            incident = secrets.token_hex(4)
            logger.exception("incident %s: %s %s", incident, scope["method"], scope["path"])
            await respond(of_incident(incident, scope["path"]))(scope, receive, send)
        return None


def _items(problems: Iterable[Problem]) -> tuple[ProblemItem, ...]:
    return tuple(ProblemItem(location=p.location, message=p.message) for p in problems)


def _slug(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name)
    return re.sub(r"[^a-z]+", "-", words.lower()).strip("-")


def _body(kind: str, title: str, status: int, **fields: Any) -> ProblemBody:
    return ProblemBody(type=f"urn:segtune:{kind}", title=title, status=status, **fields)
