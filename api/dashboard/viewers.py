"""Live pages fetch their partials again and again: those who look at the same share each answer."""

import sys
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dashboard.reader import READING, PageMessages, PageProcess
from api.dashboard.render import takes_gzip
from api.sharing import Shared

# Half a processor for all live pages together, at a low priority, and an event on them within a
# second; two threads at most, because rendering holds the interpreter that reports wait for.
_REST, _LEAST_REST_SECONDS, _AT_ONCE = 1.0, 0.7, 2
_ASKED_BY_HAND = ("/trials", "/relations", "/analysis")  # ends of paths that no event asks for
# Headers that no page depends on; whatever else differs between two readers keeps them apart.
_IGNORED = frozenset(
    {b"user-agent", b"connection", b"referer", b"accept-encoding", b"dnt", b"priority", b"pragma",
     b"cache-control"}
)  # fmt: skip
CHANGES = "/partials/changes"  # a stream, which has no end that one could wait for
_SWITCH_SECONDS, _USUAL_SWITCH_SECONDS = 0.0005, sys.getswitchinterval()


def shared_answers() -> Shared[PageMessages]:
    """What one server process keeps of the answers in the making."""
    return Shared(rest=_REST, least_rest=_LEAST_REST_SECONDS, at_once=_AT_ONCE)


class SharedPartials:
    """Renders a partial once for all who wait; stands behind what decides who may come in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """PageMessages with what is shared, or pass the request on."""
        if not _is_shared(scope):
            await self._app(scope, receive, send)
            return
        answers: Shared[PageMessages] = scope["app"].state.opened.partials
        rests = not scope["path"].endswith(_ASKED_BY_HAND)
        question = _question(scope)
        for message in await answers.get(question, lambda: self._answer(scope), rests=rests):
            await send(message)

    async def _answer(self, scope: Scope) -> PageMessages:
        reader: PageProcess | None = scope["app"].state.opened.reader
        found = None if reader is None else await reader.answer(scope)
        return await self._here(scope) if found is None else found

    async def _here(self, scope: Scope) -> PageMessages:
        """The answer of this process."""
        messages = list[Message]()

        async def keep(message: Message) -> None:
            messages.append(message)

        with _yielding():
            await self._app(scope, _nothing, keep)
        return tuple(messages)


@contextmanager
def _yielding() -> Iterator[None]:
    """Let threads that answer workers have the interpreter sooner while a page is rendered."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(_USUAL_SWITCH_SECONDS)


async def _nothing() -> Message:
    """The body of a GET request."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _is_shared(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or READING in scope:
        return False
    path: str = scope["path"]
    return path.startswith("/partials/") and path != CHANGES


def _question(scope: Scope) -> Hashable:
    headers = tuple(
        sorted(
            (name, value)
            for name, value in scope["headers"]
            if name not in _IGNORED and not name.startswith(b"sec-")
        )
    )
    packed = takes_gzip(Headers(scope=scope).get("accept-encoding", ""))
    return scope["scheme"], scope["path"], scope["query_string"], packed, headers
