"""What Prometheus reads: true figures, few series, and nothing for those who may not ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import lease_token, running, study, train

Read = dict[tuple[str, tuple[str, ...]], float]


def read(client: TestClient) -> Read:
    """Every sample by name and the values of its labels, which come by their names."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_an_empty_server_has_figures(any_client: TestClient) -> None:
    """Nothing waits, nobody works, and no sum is missing."""
    found = read(any_client)
    for name in ("queue_ready", "epochs_trained", "device_hours_spent", "device_hours_saved"):
        assert found[f"segtune_{name}", ()] == 0
    assert found["segtune_workers", ("busy",)] == 0
    assert found["segtune_studies", ("running",)] == 0


def test_figures_of_a_study_at_work(any_client: TestClient) -> None:
    """What waits, what is held, who is busy, and how attempts ended."""
    any_client.post("/api/v1/studies", json=study())
    train(any_client)
    lease = any_client.post("/api/v1/leases", json={"worker": "w2"}).json()
    usage = {"utilisation": 0.5, "memory_gb": 1.5}
    url = f"/api/v1/leases/{lease['lease']}"
    any_client.put(url, json={"usage": usage}, headers=lease_token(lease))

    found = read(any_client)

    assert found["segtune_queue_trials", ("running", "street")] == 1
    assert found["segtune_queue_trials", ("left", "street")] == 2
    assert found["segtune_queue_ready", ()] == 1, "two may run at once"
    assert found["segtune_attempts", ("held",)] == 1
    assert found["segtune_attempts", ("completed",)] == 1
    assert found["segtune_epochs_trained", ()] == 3
    assert found["segtune_workers", ("busy",)] == 1
    assert found["segtune_worker_device_use", ("w2",)] == 0.5
    assert found["segtune_worker_memory_gigabytes", ("w2",)] == 1.5
    assert ("segtune_worker_device_use", ("w1",)) not in found


def test_requests_are_counted_by_their_route(client: TestClient) -> None:
    """Ids and names do not make series of their own, and neither does what is not there."""
    client.post("/api/v1/studies", json=study())
    for number in range(3):
        client.get(f"/api/v1/studies/street/trials/{number}")
        client.get(f"/api/v1/unknown/{number}")
        client.request(f"BREW{number}", "/api/v1/studies")
    counts = {
        labels: value
        for (name, labels), value in read(client).items()
        if name == "segtune_http_request_seconds_count"
    }
    trial = [key for key in counts if key[1].endswith("/trials/{number}")]
    assert [(method, status) for method, _, status in trial] == [("GET", "404")]
    assert counts[trial[0]] == 3
    assert not any("unknown" in route or "BREW" in method for method, route, _ in counts)


@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_figures_need_the_token(settings: Settings, accept: str) -> None:
    """A scraper without it is refused, and not sent to the login page."""
    guarded = Settings(_env_file=None, **{**settings.model_dump(), "token": "correct horse"})
    with running(guarded) as client:
        answer = client.get("/metrics", headers={"Accept": accept})
        allowed = client.get("/metrics", headers={"Authorization": "Bearer correct horse"})
    assert (answer.status_code, allowed.status_code) == (401, 200)


COUNTING = """
from api.metrics import RequestTimes
times = RequestTimes()
times.observe({"method": "GET"}, 200, 0.5)
print(times.exposition().decode())
"""


def test_processes_of_one_port_count_together(tmp_path: Path) -> None:
    """Each says what all have counted, those that have ended since too, and nothing of itself."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for number in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", COUNTING],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found = {
            sample.name: sample.value
            for family in text_string_to_metric_families(done.stdout)
            for sample in family.samples
        }
        assert found["segtune_http_request_seconds_count"] == number
        assert found["segtune_http_request_seconds_sum"] == number / 2
        assert not any(name.startswith("process") for name in found)
