"""A caller who sends a byte and waits is sent away, and keeps nobody else waiting."""

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from api import slowness
from api.errors import ProblemBody, TooSlow
from api.settings import Settings
from api.slowness import BodyTimeout
from tests.api.samples import Live, lease_token, serving, study
from tests.loops import in_a_loop


@pytest.fixture
def live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A server that waits a quarter of a second for the next byte."""
    monkeypatch.setattr(slowness, "SECONDS", 0.25)
    with serving(settings) as live:
        live.client.post("/api/v1/studies", json=study())
        yield live


def begun(live: Live, method: str, path: str, headers: dict[str, str]) -> socket.socket:
    """A connection with a request of whose hundred bytes one has been sent."""
    url = live.client.base_url
    connection = socket.create_connection((url.host, url.port or 80), timeout=20)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.host}", "Content-Length: 100"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", "{"]).encode())
    return connection


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    with connection, connection.makefile("rb") as file:
        return file.read()


def upload_of(live: Live) -> tuple[str, dict[str, str]]:
    """Where a running trial hands in a model, and the headers for it."""
    lease = live.client.post("/api/v1/leases", json={"worker": "w1"}).json()
    path = f"/api/v1/leases/{lease['lease']}/artifacts/model?kind=model"
    return path, {**lease_token(lease), "Content-SHA256": hashlib.sha256(b"model").hexdigest()}


@pytest.mark.parametrize("what", ["json", "yaml", "form", "upload"])
def test_a_body_that_stands_still_is_not_waited_for(live: Live, what: str) -> None:
    """408 as a problem, and the connection is closed."""
    method, path, headers = "POST", "/api/v1/studies", {"Content-Type": f"application/{what}"}
    if what == "form":
        path = "/studies/street/pause"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
    elif what == "upload":
        method = "PUT"
        path, headers = upload_of(live)
    head, _, body = answer(begun(live, method, path, headers)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in head.lower()
    assert b"application/problem+json" in head
    assert ProblemBody.model_validate_json(body).type == "urn:segtune:too-slow"


def test_uploads_that_stand_still_hold_up_nobody(live: Live, settings: Settings) -> None:
    """More of them than there are threads for uploads: others are served, and nothing is kept."""
    path, headers = upload_of(live)
    with ExitStack() as stack:
        stalled = [stack.enter_context(begun(live, "PUT", path, headers)) for _ in range(20)]
        seen: httpx.Response = live.client.get("/api/v1/studies")
        stored = live.client.put(path, content=b"model", headers=headers)
        ends = [answer(connection) for connection in stalled]

    assert (seen.status_code, stored.status_code) == (200, 201)
    assert all(end.startswith(b"HTTP/1.1 408") for end in ends)
    kept = [file for file in settings.artifact_folder.rglob("*") if file.is_file()]
    assert [file.read_bytes() for file in kept] == [b"model"]


def received(*parts: tuple[float, bytes], then: float = 0.0) -> tuple[int, list[Message]]:
    """How many bytes get through of a body whose parts come after so many seconds each."""
    rest, seen = [*parts], list[Message]()

    async def receive() -> Message:
        if not rest:
            await asyncio.sleep(then)
            return {"type": "http.disconnect"}
        pause, body = rest.pop(0)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": body, "more_body": bool(rest)}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not seen or seen[-1]["type"] != "http.disconnect":
            seen.append(await receive())

    async def send(message: Message) -> None:
        raise AssertionError(message)

    async def scene() -> None:
        await BodyTimeout(app)({"type": "http"}, receive, send)

    try:
        in_a_loop(scene())
    except TooSlow:
        return -1, seen
    return sum(len(message.get("body", b"")) for message in seen), seen


def test_a_slow_line_is_not_a_body_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes steadily may take as long as it takes; a byte now and then is not steady."""
    monkeypatch.setattr(slowness, "SECONDS", 0.1)
    steady = [(0.02, b"x" * 1000)] * 10
    assert received(*steady)[0] == 10_000
    trickle = [(0.02, b"x")] * 10
    assert received(*trickle)[0] == -1


def test_only_the_body_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its end an app may wait without end for its caller to leave."""
    monkeypatch.setattr(slowness, "SECONDS", 0.05)
    assert received((0.0, b"x"), then=0.2)[0] == 1
