"""The path below which a reverse proxy serves: taken off what comes in, put before what goes out.

Routes, guards and services know nothing of it; templates put it before every address.
"""

import re
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEY = "segtune.prefix"
_SHAPE = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+){1,8}")
# A path below one of ours could be meant with the prefix or without.
OWN = frozenset(
    {
        "api",
        "compare",
        "favicon.ico",
        "health",
        "language",
        "login",
        "logout",
        "metrics",
        "new",
        "partials",
        "queue",
        "static",
        "studies",
        "workers",
    }
)


def normalized(prefix: str) -> str:
    """The prefix as `/tune`, empty for none. Raises ValueError where it cannot be one."""
    inner = prefix.removeprefix("/").removesuffix("/")
    whole = f"/{inner}" if inner else ""
    if whole and not _SHAPE.fullmatch(whole):
        raise ValueError(f"'{prefix}' is not a path below which to serve; write it like /tune")
    if inner.partition("/")[0] in OWN:
        raise ValueError(f"'{prefix}' begins with a path of the server's own; choose another")
    return whole


def prefix_of(connection: HTTPConnection) -> str:
    """What stands before every path that a browser is given: `/tune`, or nothing."""
    found: str = connection.scope.get(_KEY, "")
    return found


class Prefix:
    """Serves below a prefix, whether the proxy takes it off or leaves it on.

    It is the setting's, or else what the proxy says in X-Forwarded-Prefix.
    """

    def __init__(self, app: ASGIApp, setting: str = "") -> None:
        self._app = app
        self._setting = setting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        prefix = (self._setting or _forwarded(scope)) if scope["type"] == "http" else ""
        if not prefix:
            return await self._app(scope, receive, send)
        authority = Headers(scope=scope).get("host", "")

        async def located(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if location := headers.get("location"):
                    headers["location"] = _below(prefix, location, authority)
            await send(message)

        return await self._app(_without(prefix, scope), receive, located)


def _forwarded(scope: Scope) -> str:
    try:
        return normalized(Headers(scope=scope).get("x-forwarded-prefix", ""))
    except ValueError:
        return ""


def _without(prefix: str, scope: Scope) -> Scope:
    path: str = scope["path"]
    if path == prefix or path.startswith(f"{prefix}/"):
        path = path[len(prefix) :] or "/"
    return {**scope, "path": path, "raw_path": quote(path).encode(), _KEY: prefix}


def _below(prefix: str, location: str, authority: str) -> str:
    """An address of this server with the prefix; any other address as it is."""
    path = (
        re.sub(rf"^https?://{re.escape(authority)}(?=/)", "", location) if authority else location
    )
    return f"{prefix}{path}" if re.match(r"/(?!/)", path) else location
