"""What the manifests of examples/kubernetes ask a server, asked of a server."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import running, study
from tests.house.manifests import containers, of_kind, pods

PROBES = sorted(
    {
        container[probe]["httpGet"]["path"]
        for pod in pods().values()
        for container in containers(pod)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
        if "httpGet" in container.get(probe, {})
    }
)
TRIGGERS = [each for scaled in of_kind("ScaledJob") for each in scaled["spec"]["triggers"]]


@pytest.mark.parametrize("path", PROBES)
def test_a_probe_is_answered(client: TestClient, path: str) -> None:
    """Kubernetes finds what it looks at."""
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("trigger", TRIGGERS, ids=lambda each: str(each["type"]))
def test_a_trigger_finds_its_figure(settings: Settings, trigger: dict[str, Any]) -> None:
    """Its way of saying the token is ours, and the figure grows with the work."""
    metadata, server = trigger["metadata"], settings.model_copy(update={"token": SecretStr("t")})
    headers = {"Authorization": f"{metadata['authMode']} t"}
    with running(server) as client:

        def figure() -> object:
            answer = client.get(urlsplit(metadata["url"]).path, headers=headers)
            return answer.json()[metadata["valueLocation"]]

        assert figure() == 0
        assert client.post("/api/v1/studies", json=study(), headers=headers).status_code == 201
        ready = client.get("/api/v1/queue", headers=headers).json()["entries"][0]["ready"]
        assert figure() == ready > 0
