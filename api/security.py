"""Authorization: bearer tokens, host names and same-origin checks, before anything is read."""

import hmac
import ipaddress
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import Forbidden, Misdirected, of_error, respond
from api.referrals import here
from api.settings import Settings
from tuner.errors import InvalidInput, Problem, SegtuneError, Unauthorized

COOKIE = "segtune_token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = ("/health/", "/static/", "/login", "/language", "/favicon")


def token_matches(settings: Settings, given: str | None) -> bool:
    """Whether a text is the server's token, in time that tells nothing about it."""
    if settings.token is None:
        return True
    wanted = settings.token.get_secret_value()
    return hmac.compare_digest(_digest(given or ""), _digest(wanted))


def is_authorized(request: HTTPConnection, settings: Settings) -> bool:
    """Whether a request carries the token, as a bearer header or as the dashboard's cookie."""
    if settings.token is None:
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token_matches(settings, given.strip())
    return token_matches(settings, request.cookies.get(COOKIE))


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine itself."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_exposure(settings: Settings) -> None:
    """Raise InvalidInput where others could reach a server that asks for no token."""
    if settings.token is None and not is_loopback(settings.host):
        message = (
            f"will not listen on {settings.host} without a token: anyone there could run "
            "trials and read results; set SEGTUNE_TOKEN to a long random text, or listen on "
            "127.0.0.1"
        )
        raise InvalidInput([Problem(("SEGTUNE_HOST",), message)])


class Guard:
    """Refuse unauthorized requests before a byte of the body is read.

    Without a token any page in a browser could reach this server by way of its user: the Host
    header (DNS rebinding) and the Origin header (cross-site requests) are what tells it apart.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = HTTPConnection(scope)
        try:
            self._check_host(request)
            self._check_origin(request)
            if not _is_open(scope["path"]) and not is_authorized(request, self._settings):
                raise Unauthorized("send the header `Authorization: Bearer <token>`")
        except SegtuneError as error:
            await _refusal(error, request)(scope, receive, send)
            return None
        return await self._app(scope, receive, send)

    def _check_host(self, request: HTTPConnection) -> None:
        if self._settings.token is not None and not self._hosts:
            return
        name = _hostname(request.headers.get("host", ""))
        if is_loopback(name) or name in self._hosts:
            return
        raise Misdirected(
            f"this server is not known by the name '{name}'; use "
            f"{_list({'localhost', *self._hosts})}, or add the name to SEGTUNE_ALLOWED_HOSTS"
        )

    def _check_origin(self, request: HTTPConnection) -> None:
        origin = request.headers.get("origin")
        if request.scope["method"] in _SAFE_METHODS or origin is None:
            return
        given = urlsplit(origin)
        if given.netloc.lower() == request.headers.get("host", "").lower():
            return
        if (given.hostname or "") not in self._hosts:
            raise Forbidden(f"a page of {origin} asked for this; only this server's own pages may")


def _is_open(path: str) -> bool:
    return path.startswith(_OPEN_PATHS)


def _refusal(error: SegtuneError, request: HTTPConnection) -> ASGIApp:
    path = request.url.path
    if isinstance(error, Unauthorized) and not path.startswith(("/api/", "/metrics")):
        target = quote(here(request), safe="")
        return RedirectResponse(f"/login?next={target}", status_code=303)
    return respond(of_error(error, path))


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogateescape")).digest()


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
