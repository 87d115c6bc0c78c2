"""Schemathesis, a third party, reads our OpenAPI document and tries to break the server."""

import hashlib
from collections.abc import Iterator, Mapping
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

from api import scopes
from api.app import create_app
from api.settings import Settings
from tests.api.samples import lease_token, running, study, train
from tuner.service import tokens
from tuner.spec.access import TokenRequest, TokenScope, implied
from tuner.store.engine import Database

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
schemathesis.serializer.alias("application/partial-upload", "application/octet-stream")
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
    callers: Mapping[str, str]  # a secret for each scope

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
def target(lasting_settings: Settings) -> Iterator[Target]:
    """A server with a study that has results, a running trial and a file; and with tokens."""
    with running(lasting_settings) as client:
        callers = _callers(lasting_settings.database_url)
        client.headers["Authorization"] = f"Bearer {callers['admin']}"
        client.post("/api/v1/studies", json=study("a"))
        train(client)
        lease = client.post("/api/v1/leases", json={"worker": "w"}).json()
        headers = {**lease_token(lease), "Content-SHA256": hashlib.sha256(b"x").hexdigest()}
        url = f"/api/v1/leases/{lease['lease']}/artifacts/log?kind=log"
        file = client.put(url, content=b"x", headers=headers).json()
        known = {"study": "a", "number": 0, "lease": lease["lease"], "artifact": file["id"]}
        yield Target(client, known, lease["token"], callers)


def _callers(url: str) -> dict[str, str]:
    db = Database(url)
    asked = [TokenRequest(name=f"for-{scope}", scopes=(scope,)) for scope in TokenScope]
    made = {request.scopes[0].value: tokens.create(db, request).secret for request in asked}
    db.dispose()
    return made


@pytest.mark.parametrize("aimed", [True, False])
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_server_keeps_its_word(target: Target, label: str, *, aimed: bool) -> None:
    """Whatever is sent, the answer is one that the document announces, and no server error."""
    _ask(target, label, "admin", aimed=aimed, examples=6)


@pytest.mark.parametrize("scope", [TokenScope.READ, TokenScope.SUBMIT, TokenScope.WORKER, None])
@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_no_scope_gets_more_than_its_own(
    target: Target, label: str, scope: TokenScope | None
) -> None:
    """The same holds for every scope and none; without the right one all is refused."""
    wanted = scopes.API[label.replace("/api/v1", "")]
    may = implied(frozenset({scope})) if scope else frozenset[TokenScope]()
    for status in _ask(target, label, scope, aimed=True, examples=1):
        if scope is None:
            assert status == 401  # health is open at the root alone
        else:
            assert (status == 403) == (wanted is not None and not may & wanted)


def _ask(target: Target, label: str, scope: str | None, *, aimed: bool, examples: int) -> list[int]:
    """The statuses of the answers to such requests, each of which the document announces."""
    statuses = list[int]()

    @settings(
        max_examples=examples,
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
        if scope is not None:
            case.headers["Authorization"] = f"Bearer {target.callers[scope]}"
        answer = case.call_and_validate(
            checks=CHECKS, app=target.client.app, base_url="http://localhost"
        )
        statuses.append(answer.status_code)

    holds()
    return statuses
