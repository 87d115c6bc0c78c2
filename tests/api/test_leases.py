import threading

from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import Live, lease_token, report, serving, study, train
from tuner.spec.messages import Assignment, LeaseStatus


def test_life_of_a_trial(any_client: TestClient) -> None:
    """A trial is taken, reported, renewed and finished; then the study shows its result."""
    any_client.post("/api/v1/studies", json=study())
    taken = any_client.post("/api/v1/leases", json={"worker": "w1"})
    assignment = Assignment.model_validate_json(taken.content)
    url, headers = f"/api/v1/leases/{assignment.lease}", lease_token(taken.json())
    reported = any_client.post(f"{url}/reports", json=report(1), headers=headers)
    renewed = any_client.put(url, headers=headers)
    any_client.post(
        f"{url}/reports",
        json={"reports": report(2)["reports"] + report(3)["reports"]},
        headers=headers,
    )
    outcome = {"kind": "completed", "step": 3}
    finished = [any_client.post(f"{url}/finish", json=outcome, headers=headers) for _ in "12"]

    assert LeaseStatus.model_validate_json(reported.content).stored == 1
    assert LeaseStatus.model_validate_json(renewed.content).verdict.action == "continue"
    assert [answer.status_code for answer in finished] == [204, 204]
    trial = any_client.get("/api/v1/studies/street/trials/0").json()
    assert (trial["state"], trial["value"]) == ("completed", 0.5)


COSTS = {
    "latency_ms": 20.0,
    "latency_p95_ms": 25.0,
    "throughput": 50.0,
    "memory_mb": 9.5,
    "parameters": 1000,
    "macs": 2000,
}


def test_an_infeasible_network_is_refused_before_it_is_trained(any_client: TestClient) -> None:
    """The assignment says where to measure, the reply is the verdict, the page shows the costs."""
    bound = {"metric": "latency_ms", "max": 15}
    document = study(constraints=[bound], deployment={"precision": "bf16", "size": [64, 64]})
    any_client.post("/api/v1/studies", json=document)
    lease = any_client.post("/api/v1/leases", json={"worker": "w1"}).json()
    assert lease["measure"]["size"] == [64, 64]
    url, headers = f"/api/v1/leases/{lease['lease']}", lease_token(lease)
    body = {"measurements": COSTS, "device": "abacus"}
    answer = any_client.post(f"{url}/measurements", json=body, headers=headers)
    assert answer.json()["verdict"]["action"] == "prune"
    any_client.post(f"{url}/finish", json={"kind": "pruned"}, headers=headers)
    trial = any_client.get("/api/v1/studies/street/trials/0").json()
    assert (trial["state"], trial["feasible"], trial["step"]) == ("pruned", False, 0)
    assert (
        "latency_ms is 20 ms, above the max of 15 (cpu, torch, bf16, 64×64, threads 1)"
        in trial["reason"]
    )
    page = any_client.get("/studies/street/trials/0").text
    assert "Where it is to run" in page
    assert "throughput in images/s" in page


def test_a_trial_that_was_never_leased_is_shown(any_client: TestClient) -> None:
    """A study of one network that is too slow: the next trials end as they are drawn."""
    bound = {"metric": "latency_ms", "max": 15}
    document = study(constraints=[bound], deployment={"device": "cpu"})
    any_client.post("/api/v1/studies", json=document)
    lease = any_client.post("/api/v1/leases", json={"worker": "w1"}).json()
    url, headers = f"/api/v1/leases/{lease['lease']}", lease_token(lease)
    any_client.post(f"{url}/measurements", json={"measurements": COSTS}, headers=headers)
    any_client.post(f"{url}/finish", json={"kind": "pruned"}, headers=headers)
    assert any_client.post("/api/v1/leases", json={"worker": "w1"}).status_code == 204
    found = any_client.get("/api/v1/studies/street").json()
    assert (found["state"], found["counts"]["pruned"], found["epochs"]) == ("finished", 4, 0)
    trial = any_client.get("/api/v1/studies/street/trials/3").json()
    assert (trial["attempts"], trial["metrics"]["latency_ms"]) == (0, 20.0)
    for address in ("", "/trials/3"):
        assert "above the max of 15" in any_client.get(f"/studies/street{address}").text
    for part in ("history", "curves", "importance", "trials?sort=latency_ms"):
        assert any_client.get(f"/api/v1/studies/street/{part}").status_code == 200, part


def test_measurements_must_be_whole(client: TestClient) -> None:
    """One that is missing, below 0 or not a number is a 422 that names it."""
    client.post("/api/v1/studies", json=study(deployment={"device": "cpu"}))
    lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
    url = f"/api/v1/leases/{lease['lease']}/measurements"
    for wrong in ({"latency_ms": 0}, {"latency_ms": -1}, {"macs": None}, {"memory_mb": "much"}):
        body = {"measurements": {**COSTS, **wrong}}
        answer = client.post(url, json=body, headers=lease_token(lease))
        assert answer.status_code == 422
        assert next(iter(wrong)) in answer.text


def test_without_a_deployment_nothing_is_measured(client: TestClient) -> None:
    """The assignment of such a study does not have the key, so that older workers read it."""
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
    assert "measure" not in lease
    url = f"/api/v1/leases/{lease['lease']}/measurements"
    answer = client.post(url, json={"measurements": COSTS}, headers=lease_token(lease))
    assert answer.status_code == 422
    assert "study 'street' has no deployment" in answer.text
    assert "deployment" not in client.get("/api/v1/studies/street").json()["spec"]


def test_nothing_to_do(client: TestClient) -> None:
    """Without a trial the answer is 204 and empty."""
    answer = client.post("/api/v1/leases", json={"worker": "w1"})

    assert answer.status_code == 204
    assert answer.content == b""


def test_stale_lease(any_client: TestClient) -> None:
    """Whatever comes under a wrong or ended token gets 409 lease-lost."""
    any_client.post("/api/v1/studies", json=study())
    lease = any_client.post("/api/v1/leases", json={"worker": "w1"}).json()
    url = f"/api/v1/leases/{lease['lease']}"
    wrong, right = {"Lease-Token": "wrong"}, lease_token(lease)
    any_client.post(f"{url}/finish", json={"kind": "yielded"}, headers=right)
    answers = [
        any_client.put(url, headers=wrong),
        any_client.put(url, headers=right),
        any_client.put("/api/v1/leases/none", headers=right),
        any_client.post(f"{url}/reports", json=report(1), headers=right),
        any_client.post(f"{url}/measurements", json={"measurements": COSTS}, headers=right),
        any_client.post(f"{url}/finish", json={"kind": "failed"}, headers=right),
    ]

    assert [answer.status_code for answer in answers] == [409] * 6
    assert {answer.json()["type"] for answer in answers} == {"urn:segtune:lease-lost"}


def test_token_is_required(client: TestClient) -> None:
    """A request without the lease's token names the header that is missing."""
    answer = client.put("/api/v1/leases/abc")

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["location"] == ["header", "Lease-Token"]


def test_numbers_must_be_finite(client: TestClient) -> None:
    """A metric that is not a finite number is refused."""
    client.post("/api/v1/studies", json=study())
    lease = client.post("/api/v1/leases", json={"worker": "w1"}).json()
    body = b'{"reports": [{"step": 1, "metrics": {"miou": 1e999}}]}'
    answer = client.post(
        f"/api/v1/leases/{lease['lease']}/reports",
        content=body,
        headers={**lease_token(lease), "Content-Type": "application/json"},
    )

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["location"] == ["reports", 0, "metrics", "miou"]


def test_log_with_nul_is_stored(any_client: TestClient) -> None:
    """An error text that databases would refuse does not keep the outcome from being stored."""
    any_client.post("/api/v1/studies", json=study())
    lease = any_client.post("/api/v1/leases", json={"worker": "w1"}).json()
    outcome = {"kind": "failed", "error": "bad\0byte", "error_kind": "exception"}
    url = f"/api/v1/leases/{lease['lease']}/finish"
    answer = any_client.post(url, json=outcome, headers=lease_token(lease))

    assert answer.status_code == 204
    trial = any_client.get(f"/api/v1/studies/street/trials/{lease['trial']}").json()
    assert trial["error"] == "bad\ufffdbyte"


def _ask(live: Live, found: list[int]) -> threading.Thread:
    """Let a worker wait for a trial; return once the server knows of it."""

    def ask() -> None:
        request = {"worker": "w", "wait": 30}
        found.append(live.client.post("/api/v1/leases", json=request).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    while not live.client.get("/api/v1/workers").json():
        assert thread.is_alive()
    return thread


def test_wait_ends_with_a_study(settings: Settings) -> None:
    """A worker that waits gets its trial as soon as a study is submitted."""
    found: list[int] = []
    with serving(settings) as live:
        thread = _ask(live, found)
        live.client.post("/api/v1/studies", json=study())
        thread.join(timeout=20)

    assert found == [200]


def test_wait_ends_with_the_server(settings: Settings) -> None:
    """A server that shuts down sends waiting workers home instead of waiting for them."""
    found: list[int] = []
    with serving(settings) as live:
        thread = _ask(live, found)
        live.stop()
        thread.join(timeout=20)

    assert found == [204]


def test_workers(client: TestClient) -> None:
    """The fleet shows who asked for work and what they do."""
    client.post("/api/v1/studies", json=study())
    train(client, worker="done")
    client.post("/api/v1/leases", json={"worker": "busy"})

    workers = {worker["name"]: worker for worker in client.get("/api/v1/workers").json()}
    assert workers["done"]["state"] == "idle"
    assert workers["done"]["trials_done"] == 1
    assert workers["busy"]["study"] == "street"
