from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.api.samples import report, study, train


def _walk(client: TestClient, path: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    items, cursor = [], None
    while True:
        query = params if cursor is None else {**params, "cursor": cursor}
        page = client.get(path, params=query).json()
        items += page["items"]
        cursor = page["next"]
        if cursor is None:
            return items


def test_enqueue(any_client: TestClient) -> None:
    """A trial by hand carries its params and waits."""
    any_client.post("/api/v1/studies", json=study())
    answer = any_client.post(
        "/api/v1/studies/street/trials", json={"params": {"optimizer.lr": 0.05}}
    )

    assert answer.status_code == 201
    assert answer.json()["state"] == "waiting"
    assert answer.json()["config"]["optimizer"]["lr"] == 0.05
    assert any_client.get(answer.headers["location"]).json() == answer.json()


def test_enqueue_mistake(client: TestClient) -> None:
    """Params that make no config are refused with their place."""
    client.post("/api/v1/studies", json=study())
    answer = client.post("/api/v1/studies/street/trials", json={"params": {"optimizer.lrr": 1}})

    assert answer.status_code == 422
    assert answer.json()["problems"]


def test_steps_after(client: TestClient) -> None:
    """Steps are listed after the one that is known already."""
    client.post("/api/v1/studies", json=study())
    number = train(client)
    path = f"/api/v1/studies/street/trials/{number}/steps"

    assert [step["step"] for step in client.get(path).json()] == [1, 2, 3]
    assert [step["step"] for step in client.get(path, params={"after": 2}).json()] == [3]


def test_cancel(client: TestClient) -> None:
    """A running trial that is cancelled is told to stop with its next report; twice is refused."""
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": "w"}).json()
    cancel = f"/api/v1/studies/street/trials/{lease['trial']}/cancel"
    first = client.post(cancel)
    url, headers = f"/api/v1/leases/{lease['lease']}", {"Lease-Token": lease["token"]}
    verdict = client.post(f"{url}/reports", json=report(1), headers=headers).json()["verdict"]
    client.post(f"{url}/finish", json={"kind": "stopped", "step": 1}, headers=headers)

    assert first.status_code == 200
    assert verdict["action"] == "stop"
    assert client.post(cancel).status_code == 409


def test_retry(client: TestClient) -> None:
    """A failed trial is handed out again as its next attempt; before it failed that is refused."""
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": "w"}).json()
    retry = f"/api/v1/studies/street/trials/{lease['trial']}/retry"
    early = client.post(retry)
    url, headers = f"/api/v1/leases/{lease['lease']}", {"Lease-Token": lease["token"]}
    failed = {"kind": "failed", "error": "boom", "error_kind": "exception"}
    client.post(f"{url}/finish", json=failed, headers=headers)
    view = client.post(retry)
    again = client.post("/api/v1/leases", json={"worker": "w"}).json()

    assert 409 == early.status_code
    assert (200, "waiting") == (view.status_code, view.json()["state"])
    assert (lease["trial"], 2) == (again["trial"], again["attempt"])


def test_unknown_trial(client: TestClient) -> None:
    """A number that no trial has is not found, however large."""
    client.post("/api/v1/studies", json=study())

    assert client.get("/api/v1/studies/street/trials/7").status_code == 404
    assert client.get(f"/api/v1/studies/street/trials/{2**31 - 1}").status_code == 404
    assert client.get(f"/api/v1/studies/street/trials/{2**80}").status_code == 422


def test_sorted_by_param(client: TestClient) -> None:
    """Trials are sorted by a searched path, either way."""
    client.post("/api/v1/studies", json=study())
    for lr in (0.05, 0.01, 0.09):
        client.post("/api/v1/studies/street/trials", json={"params": {"optimizer.lr": lr}})

    path = "/api/v1/studies/street/trials"
    rising = client.get(path, params={"sort": "optimizer.lr"}).json()
    falling = client.get(path, params={"sort": "optimizer.lr", "descending": True}).json()
    assert [item["params"]["optimizer.lr"] for item in rising["items"]] == [0.01, 0.05, 0.09]
    assert [item["params"]["optimizer.lr"] for item in falling["items"]] == [0.09, 0.05, 0.01]
    assert rising["total"] == 3


def test_unknown_sort(client: TestClient) -> None:
    """A key that trials do not have is refused with those that they have."""
    client.post("/api/v1/studies", json=study())
    answer = client.get("/api/v1/studies/street/trials", params={"sort": "optimizer.lrr"})

    assert answer.status_code == 422
    assert "optimizer.lr" in answer.json()["detail"]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    limit=st.integers(1, 8),
    sort=st.sampled_from(["number", "optimizer.lr", "value", "finished_at", "state"]),
    descending=st.booleans(),
    rates=st.lists(st.sampled_from([0.01, 0.02, 0.03]), max_size=7),
)
def test_pages_are_complete(
    any_client: TestClient, *, limit: int, sort: str, descending: bool, rates: list[float]
) -> None:
    """A walk over pages meets every trial once, whatever the order, also among equal keys."""
    any_client.post("/api/v1/studies", json=study())
    for lr in rates:
        any_client.post("/api/v1/studies/street/trials", json={"params": {"optimizer.lr": lr}})
    query = {"limit": limit, "sort": sort, "descending": descending}
    numbers = [i["number"] for i in _walk(any_client, "/api/v1/studies/street/trials", query)]
    any_client.delete("/api/v1/studies/street")

    assert sorted(numbers) == list(range(len(rates)))


def test_pages_of_studies(client: TestClient) -> None:
    """A walk over the list of studies meets each once, though new ones come in between."""
    for name in "abcde":
        client.post("/api/v1/studies", json=study(name))
    first = client.get("/api/v1/studies", params={"limit": 2}).json()
    client.post("/api/v1/studies", json=study("late"))
    rest = _walk(client, "/api/v1/studies", {"limit": 2, "cursor": first["next"]})

    assert [item["name"] for item in first["items"] + rest] == ["e", "d", "c", "b", "a"]


def test_the_table_is_filtered(any_client: TestClient) -> None:
    """A filter leaves the trials that it is true of, with the metrics that are asked for."""
    any_client.post("/api/v1/studies", json=study())
    for miou in (0.5, 0.7, 0.6):
        train(any_client, miou=miou)
    query = {"filter": "miou > .55", "sort": "miou", "metrics": ["miou", "train_loss"]}
    page = any_client.get("/api/v1/studies/street/trials", params=query).json()

    assert [trial["number"] for trial in page["items"]] == [2, 1]
    assert page["items"][0]["metrics"] == {"miou": 0.6, "train_loss": 1.0}
    assert page["total"] == 2


def test_a_filter_that_cannot_be_understood_is_refused(client: TestClient) -> None:
    """With the character at which it goes wrong, and what could stand there."""
    client.post("/api/v1/studies", json=study())
    query = {"filter": "miou > .5 and optimizer.lrr < 1"}
    answer = client.get("/api/v1/studies/street/trials", params=query)

    assert answer.status_code == 422
    assert "character 15: filter: no column, param or metric is called" in answer.json()["detail"]
    assert answer.json()["problems"][0]["location"] == ["filter"]
