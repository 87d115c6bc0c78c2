"""A stored study that this release cannot read is a clear problem, and nobody else's."""

from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import lease_token, report, running, study
from tuner.spec.upgrades import SPEC_VERSION
from tuner.store.engine import Database
from tuner.store.tables import Study

API = "/api/v1"


@pytest.fixture
def damaged(settings: Settings, database_url: str) -> Any:
    """A server with a sound study and one that lost its document while a trial of it ran."""
    with running(settings.model_copy(update={"database_url": database_url})) as client:
        for name in ("broken", "sound"):
            client.post(f"{API}/studies", json=study(name)).raise_for_status()
        held = client.post(f"{API}/leases", json={"worker": "w1", "study": "broken"}).json()
        db = Database(database_url)
        with db.transaction() as session:
            session.execute(update(Study).where(Study.name == "broken").values(spec={"a": 1}))
        db.dispose()
        yield client, held


def test_direct_looks_are_conflicts_with_the_reason(damaged: Any) -> None:
    """Whatever is asked of it, the answer is one problem document and never a 500."""
    client, _ = damaged
    found = [client.get(f"{API}/studies/broken{path}") for path in LOOKS]
    found.append(client.patch(f"{API}/studies/broken", json={"state": "cancelled"}))
    found.append(client.post(f"{API}/studies/broken/clone", json={}))
    for answer in found:
        assert answer.status_code == 409, answer.url
        body = answer.json()
        assert body["type"] == "urn:segtune:unreadable"
        assert "study 'broken' (id 1) cannot be read by this release" in body["detail"]


LOOKS = (
    "",
    "/best",
    "/curves",
    "/history",
    "/importance",
    "/explanation",
    "/sources",
    "/pareto",
    "/front",
    "/ranking?objective=miou",
    "/trials",
    "/trials/0",
    "/events",
)


def test_lists_and_leases_go_on(damaged: Any) -> None:
    """The list shows it with its reason; workers get the other study's trials."""
    client, _ = damaged
    items = {one["name"]: one for one in client.get(f"{API}/studies").json()["items"]}
    assert (items["broken"]["state"], items["broken"]["readable"]) == ("failed", False)
    assert "cannot be read" in items["broken"]["reason"]
    assert items["sound"]["readable"]
    assert client.post(f"{API}/leases", json={"worker": "w2"}).json()["study"] == "sound"
    assert client.get(f"{API}/workers").status_code == 200


def test_its_worker_is_refused_and_it_can_be_deleted(damaged: Any) -> None:
    """The holder of its trial hears a conflict, and after the deletion that its lease is lost."""
    client, held = damaged
    address, token = f"{API}/leases/{held['lease']}", lease_token(held)
    answers = [
        client.put(address, headers=token),
        client.post(f"{address}/reports", json=report(1), headers=token),
        client.post(f"{address}/finish", json={"kind": "failed"}, headers=token),
    ]
    assert [answer.status_code for answer in answers] == [409] * 3
    assert client.delete(f"{API}/studies/broken").status_code == 204
    lost = client.put(address, headers=token)
    assert (lost.status_code, lost.json()["type"]) == (409, "urn:segtune:lease-lost")


def test_a_study_of_a_later_release_is_refused_by_its_version(any_client: TestClient) -> None:
    """At submission the problem stands at the key, with what to do."""
    newer = {**study(), "spec_version": SPEC_VERSION + 1}
    answer = any_client.post(f"{API}/studies", json=newer)
    assert answer.status_code == 422
    (problem,) = answer.json()["problems"]
    assert problem["location"] == ["spec_version"]
    assert "install the release that wrote it" in problem["message"]
