"""Live pages fetch their partials again and again: those who look at the same share each answer."""

from collections.abc import Hashable, Iterator

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.dashboard import words
from api.dashboard.reader import READING, PageMessages, PageProcess
from api.dashboard.render import takes_gzip
from api.security import COOKIE
from api.sharing import Shared

# An event is on a page within a second, as long as all of them together need no more than half of
# a processor; two at once, because rendering holds the interpreter that reports wait for.
_REST_SECONDS, _SHARE, _AT_ONCE = 0.4, 0.5, 2
# What a page may depend on, besides its address; it is rendered without all else, so that no
# viewer gets what was meant for another. What proxies add keeps nobody apart.
COOKIES = frozenset(name.encode() for name in (COOKIE, words.COOKIE, "segtune_theme"))
HEADERS = frozenset(
    {b"host", b"authorization", b"accept", b"accept-language", b"x-forwarded-prefix"}
)


CHANGES = "/partials/changes"  # a stream, which has no end that one could wait for


def shared_answers() -> Shared[PageMessages]:
    """What one server process keeps of the answers in the making."""
    return Shared(rest=_REST_SECONDS, share=_SHARE, at_once=_AT_ONCE)


class SharedPartials:
    """Renders a partial once for all who wait; stands behind what decides who may come in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with what is shared, or pass the request on."""
        if not _is_shared(scope):
            await self._app(scope, receive, send)
            return
        answers: Shared[PageMessages] = scope["app"].state.opened.partials
        asked = without_the_rest(scope)
        for message in await answers.get(question(asked), lambda: self._answer(asked, answers)):
            await send(message)

    async def _answer(self, scope: Scope, answers: Shared[PageMessages]) -> PageMessages:
        reader: PageProcess | None = scope["app"].state.opened.reader
        found = None if reader is None or answers.is_closing else await reader.answer(scope)
        if found is None and answers.is_closing:
            return await _messages(_stopping(scope["path"]), scope)
        return await _messages(self._app, scope) if found is None else found


async def _messages(app: ASGIApp, scope: Scope) -> PageMessages:
    """The answer of this process."""
    messages = list[Message]()

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, _nothing, keep)
    return tuple(messages)


async def _nothing() -> Message:
    """The body of a GET request."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _stopping(path: str) -> ASGIApp:
    """What a server says that has no time for a page any more."""
    return errors.respond(errors.of_status(503, "the server stops; ask again", path))


def _is_shared(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or READING in scope:
        return False
    path: str = scope["path"]
    return path.startswith("/partials/") and path != CHANGES


def question(scope: Scope) -> Hashable:
    """What two viewers have in common who may see the same, of a scope without the rest."""
    return scope["scheme"], scope["path"], scope["query_string"], tuple(scope["headers"])


def without_the_rest(scope: Scope) -> Scope:
    """The request with only what a page may depend on."""
    packed = takes_gzip(Headers(scope=scope).get("accept-encoding", ""))
    headers = [
        *sorted(_headers(scope), key=lambda header: header[0]),
        (b"accept-encoding", b"gzip" if packed else b"identity"),
    ]
    return {**scope, "headers": headers, "client": None}


def _headers(scope: Scope) -> Iterator[tuple[bytes, bytes]]:
    for name, value in scope["headers"]:
        if name in HEADERS:
            yield name, value
        elif name == b"cookie" and (own := _own_cookies(value)):
            yield name, own


def _own_cookies(header: bytes) -> bytes:
    """Ours in a Cookie header; a proxy or another service of this host may have added others."""
    parts = (part.strip() for part in header.split(b";"))
    return b"; ".join(part for part in parts if part.partition(b"=")[0].strip() in COOKIES)
