"""Authorization: bearer tokens, host names and same-origin checks, before anything is read."""

import hmac
import ipaddress
from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import Misdirected, TooManyRequests, of_error, respond
from api.rates import Rates
from api.referrals import here
from api.registry import Registry
from api.settings import Settings
from tuner.errors import Forbidden, InvalidInput, Problem, SegtuneError, StorageError, Unauthorized
from tuner.service.acting import acting_as
from tuner.service.logins import proof_of
from tuner.spec.access import EVERYTHING, Caller

COOKIE = "segtune_session"
CALLER = "segtune.caller"  # in the scope of a request that was let in
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = ("/health/", "/static/", "/login", "/language", "/favicon")
ANYONE = Caller("anyone", None, EVERYTHING)  # where there is no token at all
OPERATOR = Caller("SEGTUNE_TOKEN", None, EVERYTHING)  # who knows the server's own


async def caller_of(secret: str | None, settings: Settings, registry: Registry) -> Caller | None:
    """The caller with this secret; None if it lets nobody in. Raises StorageError."""
    if settings.token is not None:
        wanted = settings.token.get_secret_value()
        if hmac.compare_digest(_digest(secret or ""), _digest(wanted)):
            return OPERATOR
    elif not await registry.is_any():
        return ANYONE
    return await registry.find(secret) if secret else None


async def caller_with(cookie: str, settings: Settings, registry: Registry) -> Caller | None:
    """The caller whose browser has this cookie; None if it lets nobody in. Raises StorageError."""
    login = await registry.login(cookie)
    if login is None:
        return None
    if login.secret_hash is not None:
        return await registry.find_digest(login.secret_hash)
    if settings.token is None or login.proof is None:
        return None
    wanted = proof_of(cookie, settings.token.get_secret_value())
    return OPERATOR if hmac.compare_digest(login.proof, wanted) else None


def _bearer_of(request: HTTPConnection) -> str | None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine itself."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_exposed(settings: Settings) -> bool:
    """Whether others can reach a server that has no token of its own."""
    return settings.token is None and not is_loopback(settings.host)


def check_exposure(settings: Settings, *, has_tokens: bool = False) -> None:
    """Raise InvalidInput where others could reach a server that asks for no token."""
    if is_exposed(settings) and not has_tokens:
        message = (
            f"will not listen on {settings.host} without a token: anyone there could run "
            "trials and read results; set SEGTUNE_TOKEN to a long random text, make a token with "
            "`segtune token create`, or listen on 127.0.0.1"
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
        self._rates = Rates(settings)
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = HTTPConnection(scope)
        try:
            await self._check_host(request)
            self._check_origin(request)
            _check_query(scope)
            caller = None if is_open(scope["path"]) else await self._caller(request)
            if caller is not None and caller.owner is not None:
                self._rates.take(caller.name, scope["path"])
            scope[CALLER] = caller
        except SegtuneError as error:
            await _refusal(error, request)(scope, receive, send)
            return None
        if caller is None:
            return await self._app(scope, receive, send)
        with acting_as(caller):
            return await self._app(scope, receive, send)

    async def _caller(self, request: HTTPConnection) -> Caller:
        registry: Registry = request.app.state.opened.tokens
        secret, cookie = _bearer_of(request), request.cookies.get(COOKIE)
        caller = await caller_of(secret, self._settings, registry)
        if caller is None and secret is None and cookie:
            caller = await caller_with(cookie, self._settings, registry)
        if caller is None:
            raise Unauthorized(
                "send the header `Authorization: Bearer <token>`"
                if not secret
                else "the token that was sent is not known here, has expired or was revoked; an "
                "admin sees which: `segtune token list`"
            )
        return caller

    async def _check_host(self, request: HTTPConnection) -> None:
        name = _hostname(request.headers.get("host", ""))
        if is_loopback(name) or name in self._hosts:
            return
        if not self._hosts and await self._wants_tokens(request):
            return
        raise Misdirected(
            f"this server is not known by the name '{name}'; use "
            f"{_list({'localhost', *self._hosts})}, or add the name to SEGTUNE_ALLOWED_HOSTS"
        )

    async def _wants_tokens(self, request: HTTPConnection) -> bool:
        if self._settings.token is not None:
            return True
        registry: Registry = request.app.state.opened.tokens
        try:
            return await registry.is_any()
        except StorageError:
            if is_open(request.scope["path"]):
                return True  # health gives nothing away
            raise

    def _check_origin(self, request: HTTPConnection) -> None:
        origin = request.headers.get("origin")
        if request.scope["method"] in _SAFE_METHODS:
            return
        if origin is None:
            if request.headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"}:
                raise Forbidden("a page of another site asked for this; only this server's own may")
            return
        given = urlsplit(origin)
        if given.netloc.lower() == request.headers.get("host", "").lower():
            return
        if (given.hostname or "") not in self._hosts:
            raise Forbidden(f"a page of {origin} asked for this; only this server's own pages may")


def _check_query(scope: Scope) -> None:
    """Raise InvalidInput for a NUL: no name or metric holds one, and no database takes it."""
    if b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise InvalidInput([Problem(("query",), "a text holds a NUL character; remove it")])


def is_open(path: str) -> bool:
    """Whether a path is for strangers, too."""
    return path.startswith(_OPEN_PATHS)


def _refusal(error: SegtuneError, request: HTTPConnection) -> ASGIApp:
    path = request.url.path
    if isinstance(error, Unauthorized) and not path.startswith(("/api/", "/metrics")):
        target = quote(here(request), safe="")
        return RedirectResponse(f"/login?next={target}", status_code=303)
    later = {"Retry-After": str(error.seconds)} if isinstance(error, TooManyRequests) else None
    return respond(of_error(error, path), later)


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogateescape")).digest()


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
