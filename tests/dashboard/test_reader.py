"""The process that renders live pages: the same pages, and none the less when it is not there."""

import asyncio
import os
import signal

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.dashboard.reader import PageProcess
from api.settings import Settings
from tests.dashboard.scenes import Scene
from tests.loops import in_a_loop
from tuner.store.engine import Database

PARTIAL = "/partials/studies/1"


async def child_of(app: FastAPI) -> int:
    """The process id of the application's child, once that can answer."""
    reader: PageProcess = app.state.opened.reader
    await reader.answer({"type": "http", "method": "GET", "path": "/", "headers": []})
    assert reader.started is not None
    return await asyncio.wrap_future(reader.started)


def test_the_child_renders_what_the_server_would(settings: Settings, db: Database) -> None:
    """Its page is the server's own; without it, and after it was killed, the server renders."""
    Scene.submit(db).play(3)

    async def scene() -> list[httpx.Response]:
        app = create_app(settings, with_reader=True)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            before = await client.get(PARTIAL)
            process = await child_of(app)
            by_child = await client.get(PARTIAL)
            missing = await client.get("/partials/studies/9")
            os.kill(process, signal.SIGKILL)
            after = await client.get(PARTIAL)
            app.state.opened.reader.close()
            return [before, by_child, after, missing]

    before, by_child, after, missing = in_a_loop(scene())
    by_server = before.text

    assert before.headers["content-encoding"] == by_child.headers["content-encoding"] == "gzip"
    assert by_child.headers["content-security-policy"] == before.headers["content-security-policy"]
    assert by_child.text.count("<tr id=") == by_server.count("<tr id=") == 3
    assert (after.status_code, missing.status_code) == (200, 404)
