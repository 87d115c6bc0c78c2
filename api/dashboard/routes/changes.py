"""That something has changed, as a stream (server-sent events), for pages about all studies."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from api.dashboard.viewers import CHANGES
from api.deps import App, AppState

router = APIRouter()
KEEP_ALIVE_SECONDS = 15.0
BREATH_SECONDS = 1.0  # between two changes: who hears one asks for a page
_RETRY = b"retry: 2000\n\n"
_PING = b": still here\n\n"
_MOST = 10**15


@router.get(CHANGES, response_class=StreamingResponse)
async def stream_changes(
    request: Request,
    app: App,
    *,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,15}$")] = None,
    after: Annotated[int, Query(ge=0, lt=_MOST)] = 0,
) -> StreamingResponse:
    """An event `change` whenever something has changed.

    It begins with one unless `after` is the last: a page may be older than its stream.
    """
    seen = after if last_event_id is None else int(last_event_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    content = _follow(request, app, seen)
    return StreamingResponse(content, headers=headers, media_type="text/event-stream")


async def _follow(request: Request, app: AppState, seen: int) -> AsyncIterator[bytes]:
    """Bytes of the stream; it ends with the server or the caller."""
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    yield _RETRY
    while not app.changes.is_closed and not await request.is_disconnected():
        version = app.changes.version
        number = version + 1  # 0 is a page that has heard of none
        if number != seen:
            seen, spoken = number, loop.time()
            yield f"id: {number}\nevent: change\ndata: {{}}\n\n".encode()
            await asyncio.sleep(BREATH_SECONDS)
        elif loop.time() - spoken >= KEEP_ALIVE_SECONDS:
            spoken = loop.time()
            yield _PING
        await app.changes.wait(version, spoken + KEEP_ALIVE_SECONDS - loop.time())
