"""Schemathesis, a third party, reads our OpenAPI document and tries to break the server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.samples import lease_token, running, study, train

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(create_app(Settings(_env_file=None)).openapi())
# The event stream has no end; its own tests read as much of it as they need.
OPERATIONS = {
    operation.label: operation
    for found in SCHEMA.exclude(operation_id="stream_events").get_all_operations()
    if (operation := found.ok())  # type: ignore[union-attr]  # an error has no `ok` and fails here
}


@dataclass(frozen=True)
class Target:
    """A server, and what exists on it."""

    client: TestClient
    known: dict[str, Any]
    lease_token: str

    def aim(self, case: schemathesis.Case) -> None:
        """Let a request be about something that exists, so that it gets past the 404."""
        for name in case.path_parameters.keys() & self.known.keys():
            case.path_parameters[name] = self.known[name]
        if "Lease-Token" in case.headers:
            case.headers["Lease-Token"] = self.lease_token
        if isinstance(case.body, dict) and "dataset" in case.body:
            name, value = next(iter(case.body.items()))
            case.body = {**study("aimed"), name: value}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with a study that has results, a running trial and a file."""
    home = tmp_path_factory.mktemp("conformance")
    with running(Settings(_env_file=None, home=home, upkeep_seconds=3600)) as client:
        client.post("/api/v1/studies", json=study("a"))
        train(client)
        lease = client.post("/api/v1/leases", json={"worker": "w"}).json()
        headers = {**lease_token(lease), "Content-SHA256": hashlib.sha256(b"x").hexdigest()}
        url = f"/api/v1/leases/{lease['lease']}/artifacts/log?kind=log"
        file = client.put(url, content=b"x", headers=headers).json()
        known = {"study": "a", "number": 0, "lease": lease["lease"], "artifact": file["id"]}
        yield Target(client, known, lease["token"])


@pytest.mark.parametrize("aimed", [True, False])
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_server_keeps_its_word(target: Target, label: str, *, aimed: bool) -> None:
    """Whatever is sent, the answer is one that the document announces, and no server error."""

    @settings(
        max_examples=6,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        derandomize=True,
    )
    @given(case=OPERATIONS[label].as_strategy())
    def holds(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict) and "wait" in case.body:
            case.body = {**case.body, "wait": 0}  # half a minute is a right answer, and no use here
        if aimed:
            target.aim(case)
        case.call_and_validate(checks=CHECKS, app=target.client.app, base_url="http://localhost")

    holds()
