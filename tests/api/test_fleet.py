"""Workers, their logs and the queue over HTTP, also with workers of the release before."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.samples import lease_token, study
from tuner.spec.messages import DRAINED, LeaseStatus

USAGE = {"utilisation": 0.5, "memory_gb": 1.5, "memory_total_gb": 4.0, "process_gb": None}
LOG = "/api/v1/studies/street/trials/0/log"


def take(client: TestClient, worker: str = "w1") -> tuple[str, dict[str, str]]:
    """Submit a study and take its first trial; gives the lease's address and token."""
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": worker}).json()
    return f"/api/v1/leases/{lease['lease']}", lease_token(lease)


def test_a_heartbeat_with_vitals(any_client: TestClient) -> None:
    """It shows in the list of workers and as the trial's log; the reply has nothing new in it."""
    url, headers = take(any_client)
    body = {"usage": USAGE, "log": "epoch 1\x00\n", "later": {"release": True}}
    answer = any_client.put(url, json=body, headers=headers)
    assert set(answer.json()) == {"verdict", "expires_at", "stored"}
    (worker,) = any_client.get("/api/v1/workers").json()
    assert (worker["usage"], worker["state"]) == (USAGE, "busy")
    log = any_client.get(LOG).json()
    assert (log["attempt"], log["worker"], log["text"]) == (1, "w1", "epoch 1\ufffd\n")


@pytest.mark.parametrize(
    "request_", [{}, {"content": b""}, {"json": {}}, {"headers": {"Content-Type": "text/plain"}}]
)
def test_a_heartbeat_of_an_earlier_worker(client: TestClient, request_: dict[str, Any]) -> None:
    """Without a body, whatever its headers say, it renews the lease as ever."""
    url, headers = take(client)
    sent = {**request_, "headers": {**request_.get("headers", {}), **headers}}
    answer = client.put(url, **sent)
    assert LeaseStatus.model_validate_json(answer.content).verdict.action == "continue"


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"log": 3}',
        b'{"usage": {"utilisation": 2}}',
        b'{"usage": {"memory_gb": NaN}}',
        b'{"log": "' + b"x" * 200_000 + b'"}',
    ],
)
def test_vitals_that_make_no_sense_are_refused(client: TestClient, body: bytes) -> None:
    """They are a 4xx, and the lease stays as it is."""
    url, headers = take(client)
    answer = client.put(url, content=body, headers={**headers, "Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["type"] != "urn:segtune:lease-lost"
    assert client.put(url, headers=headers).status_code == 200


def test_a_worker_is_drained(any_client: TestClient) -> None:
    """It is told so by a header, which workers of the release before do not look at."""
    url, headers = take(any_client)
    assert any_client.post("/api/v1/workers/w1/drain").json()["state"] == "draining"
    any_client.post(f"{url}/finish", json={"kind": "pruned", "log": "end\n"}, headers=headers)
    assert any_client.get(LOG).json()["text"] == "end\n"
    answer = any_client.post("/api/v1/leases", json={"worker": "w1"})
    assert (answer.status_code, answer.headers[DRAINED]) == (204, "true")
    other = any_client.post("/api/v1/leases", json={"worker": "w2"})
    assert (other.status_code, DRAINED in other.headers) == (200, False)
    assert any_client.post("/api/v1/workers/w1/undrain").json()["state"] == "idle"
    assert any_client.post("/api/v1/leases", json={"worker": "w1"}).status_code == 200


def test_nobody_of_that_name(client: TestClient) -> None:
    """A worker, a log and an attempt that are not there are 404s with the name."""
    take(client)
    assert "'w9'" in client.post("/api/v1/workers/w9/drain").json()["detail"]
    for address in (
        "/api/v1/workers/lost?worker=w9",
        f"{LOG}?attempt=2",
        "/api/v1/studies/street/trials/9/log",
    ):
        assert client.get(address).status_code == 404, address


def test_the_queue(client: TestClient) -> None:
    """What waits, and why, in the order of its being served."""
    take(client)
    found = client.get("/api/v1/queue").json()
    (entry,) = found["entries"]
    assert (found["workers"], found["free"], entry["place"]) == (1, [], 1)
    assert (entry["why"], entry["reason"]) == ("busy", "the only worker that fits is busy")
    depth = client.get("/api/v1/queue/depth").json()
    assert depth == {"ready": entry["ready"], "running": 1, "workers": 1, "free": 0}


def test_nothing_was_lost(client: TestClient) -> None:
    """An empty page is a page."""
    take(client)
    assert client.get("/api/v1/workers/lost").json() == {"items": [], "next": None, "total": None}
