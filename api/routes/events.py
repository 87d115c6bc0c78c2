"""A study's events as a stream (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.deps import MAX_ID, App, AppState, EventChunk, StudyRef
from tuner.errors import NotFound
from tuner.service import overview
from tuner.service.storage import Database

router = APIRouter(tags=["events"])
KEEP_ALIVE_SECONDS = 15.0
PAGE = 500
_RETRY = b"retry: 2000\n\n"
_PING = b": still here\n\n"
# A study in full swing reports many times a second; one look takes them all.
_BREATH_SECONDS = 0.2


@router.get(
    "/studies/{study}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`id` is the event's number, `event` its kind, `data` the event as JSON",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    request: Request,
    app: App,
    study: StudyRef,
    *,
    last_event_id: Annotated[str | None, Header(pattern=r"^[0-9]{1,9}$")] = None,
    after: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
) -> StreamingResponse:
    """Every change of a study from a point on, as it happens; resumes without loss."""
    start = after if last_event_id is None else int(last_event_id)
    known = await run_in_threadpool(overview.study_id, app.db, study)
    content = _follow(request, app, known, start)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(content, headers=headers, media_type="text/event-stream")


async def _follow(request: Request, app: AppState, study: int, seq: int) -> AsyncIterator[bytes]:
    """Bytes of the stream; it ends with the server, the study's deletion or the caller."""
    loop = asyncio.get_running_loop()
    spoken = loop.time()
    yield _RETRY
    while not app.changes.is_closed and not await request.is_disconnected():
        version = app.changes.version
        try:
            chunk = await app.streams.get((study, seq), partial(_read, app.db, study, seq))
        except NotFound:
            return
        if chunk.number:
            seq, spoken = chunk.last, loop.time()
            yield chunk.body
        elif loop.time() - spoken >= KEEP_ALIVE_SECONDS:
            spoken = loop.time()
            yield _PING
        if chunk.number < PAGE:
            await app.changes.wait(version, spoken + KEEP_ALIVE_SECONDS - loop.time())
            await asyncio.sleep(_BREATH_SECONDS)


async def _read(db: Database, study: int, seq: int) -> EventChunk:
    """The events after a number, once for all streams that have come so far."""
    return await run_in_threadpool(_chunk, db, study, seq)


def _chunk(db: Database, study: int, seq: int) -> EventChunk:
    events = overview.events(db, study, after=seq, limit=PAGE)
    body = "".join(
        f"id: {event.seq}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"
        for event in events
    )
    return EventChunk(events[-1].seq if events else seq, len(events), body.encode())
