import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from api.routes import events
from api.settings import Settings
from tests.api.samples import Live, lease_token, report, serving, study, train

URL = "/api/v1/studies/street/events"


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """A real server with a study."""
    with serving(settings) as live:
        live.client.post("/api/v1/studies", json=study())
        yield live


def _read(live: Live, count: int, *, after: int = 0, **headers: str) -> list[dict[str, Any]]:
    """The first messages of a stream."""
    found: list[dict[str, Any]] = []
    with live.client.stream("GET", URL, params={"after": after}, headers=headers) as response:
        for message in _messages(response):
            found.append(message)
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {len(found)} messages")


def _messages(response: httpx.Response) -> Iterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    for line in response.iter_lines():
        if not line:
            if "data" in fields:
                yield {**fields, "data": json.loads(fields["data"])}
            fields = {}
        elif ": " in line:
            name, _, value = line.partition(": ")
            fields[name] = value


def test_all_from_the_start(live: Live) -> None:
    """The stream tells everything that happened, numbered without gaps."""
    train(live.client)
    messages = _read(live, 5)

    assert [int(message["id"]) for message in messages] == [1, 2, 3, 4, 5]
    assert messages[0]["event"] == messages[0]["data"]["kind"] == "study.created"
    assert "trial.reported" in {message["event"] for message in messages}


@pytest.mark.parametrize("cut", [1, 3, 4])
def test_resumes_without_loss(live: Live, cut: int) -> None:
    """A stream that was cut goes on after the last event that arrived."""
    train(live.client)
    whole = _read(live, 6)
    start = _read(live, cut)
    rest = _read(live, 6 - cut, **{"Last-Event-ID": start[-1]["id"]})

    assert start + rest == whole


def test_header_wins_over_query(live: Live) -> None:
    """A browser that reconnects sends its first URL again; the header says where it stands."""
    train(live.client)
    (message,) = _read(live, 1, after=1, **{"Last-Event-ID": "3"})

    assert message["id"] == "4"


def test_tells_as_it_happens(live: Live) -> None:
    """An event reaches a stream that is open already."""
    with live.client.stream("GET", URL) as response:
        messages = _messages(response)
        first = next(messages)
        lease = live.client.post("/api/v1/leases", json={"worker": "w"}).json()
        url = f"/api/v1/leases/{lease['lease']}/reports"
        live.client.post(url, json=report(1, 0.25), headers=lease_token(lease))
        told = next(m for m in messages if m["event"] == "trial.reported")

    assert first["event"] == "study.created"
    assert told["data"]["data"]["value"] == 0.25


def test_other_process(live: Live, settings: Settings) -> None:
    """What happens in another server process is told too."""
    with serving(settings) as other, live.client.stream("GET", URL) as response:
        messages = _messages(response)
        next(messages)
        other.client.patch("/api/v1/studies/street", json={"priority": 70})
        told = next(messages)

    assert told["event"] == "study.changed"


def test_keeps_alive(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet stream says now and then that it is still there."""
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.1)
    with live.client.stream("GET", URL) as response:
        ping = next(line for line in response.iter_lines() if line.startswith(":"))

    assert ping == ": still here"


def test_ends_with_the_study(live: Live) -> None:
    """The stream of a deleted study ends."""
    with live.client.stream("GET", URL) as response:
        lines = response.iter_lines()
        next(line for line in lines if line.startswith("data"))
        live.client.delete("/api/v1/studies/street")

        assert [line for line in lines if line.startswith("data")] == []


def test_unknown_study(client: TestClient) -> None:
    """There is no stream of a study that does not exist."""
    answer = client.get(URL)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", ["x", "-1", "9" * 30])
def test_odd_position(client: TestClient, value: str) -> None:
    """A position that is no event's number is refused."""
    client.post("/api/v1/studies", json=study())

    assert client.get(URL, headers={"Last-Event-ID": value}).status_code == 422
