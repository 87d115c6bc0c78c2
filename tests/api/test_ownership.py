"""Studies have owners, and what callers do is kept: both over HTTP, on each database."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.settings import Settings
from tests.api.samples import running, study
from tuner.spec.access import DeedKind

TOKEN = "correct horse"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
Headers = dict[str, str]
SUBMITTED = "/api/v1/studies/street"


@pytest.fixture
def server(settings: Settings, database_url: str) -> Iterator[TestClient]:
    """A client of a server with a token of its own."""
    given = {**settings.model_dump(), "token": TOKEN, "database_url": database_url}
    with running(Settings(_env_file=None, **given)) as client:
        yield client


def token(client: TestClient, name: str, *scopes: str, owner: str | None = None) -> Headers:
    """The header of a new token."""
    body = {"name": name, "scopes": scopes, "owner": owner}
    made = client.post("/api/v1/tokens", json=body, headers=OPERATOR)
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['secret']}"}


Deed = Callable[[TestClient, Headers], Any]
HTML = {"accept": "text/html", "origin": "http://localhost"}
CHANGES: dict[str, Deed] = {
    "pause": lambda c, h: c.patch(SUBMITTED, json={"state": "paused"}, headers=h),
    "priority": lambda c, h: c.patch(SUBMITTED, json={"priority": 90}, headers=h),
    "delete": lambda c, h: c.delete(SUBMITTED, headers=h),
    "enqueue": lambda c, h: c.post(
        f"{SUBMITTED}/trials", json={"params": {"optimizer.lr": 0.02}}, headers=h
    ),
    "cancel a trial": lambda c, h: c.post(f"{SUBMITTED}/trials/0/cancel", headers=h),
    "retry a trial": lambda c, h: c.post(f"{SUBMITTED}/trials/0/retry", headers=h),
    "press pause": lambda c, h: c.post("/studies/1/pause", headers={**h, **HTML}),
    "press delete": lambda c, h: c.post("/studies/1/delete", headers={**h, **HTML}),
    "press a priority": lambda c, h: c.post(
        "/queue/1/priority", data={"priority": "7"}, headers={**h, **HTML}
    ),
    "cancel chosen trials": lambda c, h: c.post(
        "/studies/1/trials/cancel", data={"number": "0"}, headers={**h, **HTML}
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_only_an_owner_changes_a_study(server: TestClient, name: str) -> None:
    """Another submitter is refused, whichever way they ask, and nothing is changed or kept."""
    ada, bob = token(server, "ada", "submit"), token(server, "bob", "submit")
    server.post("/api/v1/studies", json=study(), headers=ada)
    server.post("/api/v1/leases", json={"worker": "w"}, headers=OPERATOR)
    before = server.get(SUBMITTED, headers=ada).json()
    kept = len(server.get("/api/v1/audit", headers=OPERATOR).json()["items"])
    refused = CHANGES[name](server, bob)

    assert refused.status_code == 403
    assert "of ada" in refused.text
    assert server.get(SUBMITTED, headers=ada).json() == before
    assert len(server.get("/api/v1/audit", headers=OPERATOR).json()["items"]) == kept


@pytest.mark.parametrize("who", ["ada", "another token of ada", "an admin", "the operator"])
def test_those_who_may_change_it(server: TestClient, who: str) -> None:
    """Every token of the owner, every admin, and the server's own token."""
    headers = {
        "ada": token(server, "ada", "submit"),
        "another token of ada": token(server, "laptop", "submit", owner="ada"),
        "an admin": token(server, "root", "admin"),
        "the operator": OPERATOR,
    }
    server.post("/api/v1/studies", json=study(), headers=headers["ada"])
    mine = headers[who]
    answers = [
        server.patch(SUBMITTED, json={"state": "paused"}, headers=mine),
        server.delete(SUBMITTED, headers=mine),
        server.post(f"{SUBMITTED}/restore", headers=mine),
    ]

    assert [answer.status_code for answer in answers] == [200, 204, 200]
    assert answers[-1].json()["owner"] == "ada"


def test_a_deleted_study_is_its_owner_s(server: TestClient) -> None:
    """Nobody else brings it back."""
    ada, bob = token(server, "ada", "submit"), token(server, "bob", "submit")
    server.post("/api/v1/studies", json=study(), headers=ada)
    server.delete(SUBMITTED, headers=ada)

    assert server.post(f"{SUBMITTED}/restore", headers=bob).status_code == 403
    assert server.post(f"{SUBMITTED}/restore", headers=ada).status_code == 200


def test_a_study_of_nobody_is_everyone_s(server: TestClient) -> None:
    """Those of the operator and of earlier releases have no owner."""
    bob = token(server, "bob", "submit")
    made = server.post("/api/v1/studies", json=study(), headers=OPERATOR).json()

    assert made["owner"] is None
    assert server.patch(SUBMITTED, json={"state": "paused"}, headers=bob).status_code == 200


def test_a_copy_is_its_maker_s(server: TestClient) -> None:
    """Everyone who submits may clone what they may read; the list can be of one owner."""
    ada, bob = token(server, "ada", "submit"), token(server, "bob", "submit")
    server.post("/api/v1/studies", json=study(), headers=ada)
    copy = server.post(f"{SUBMITTED}/clone", json={"name": "mine"}, headers=bob).json()

    assert copy["owner"] == "bob"
    for sort in ("created", "name"):
        listed = server.get("/api/v1/studies", params={"owner": "bob", "sort": sort}, headers=ada)
        assert [one["name"] for one in listed.json()["items"]] == ["mine"]
        assert listed.json()["total"] == 1


def test_the_audit_trail(server: TestClient) -> None:
    """Who did what to what, the last first, page by page; also of what is gone."""
    ada = token(server, "laptop", "submit", owner="ada")
    server.post("/api/v1/studies", json=study(), headers=ada)
    server.post("/api/v1/leases", json={"worker": "w"}, headers=OPERATOR)
    server.patch(SUBMITTED, json={"priority": 90}, headers=ada)
    server.post(f"{SUBMITTED}/trials/0/cancel", headers=ada)
    server.post("/api/v1/workers/w/drain", headers=OPERATOR)
    server.post("/api/v1/workers/w/drain", headers=OPERATOR)
    server.delete(SUBMITTED, params={"cancel": True}, headers=ada)
    found, cursor = list[dict[str, Any]](), None
    while not found or cursor:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = server.get("/api/v1/audit", params=query, headers=OPERATOR).json()
        found, cursor = [*found, *page["items"]], page["next"]

    assert [(one["caller"], one["owner"], one["action"], one["target"]) for one in found] == [
        ("laptop", "ada", "study.delete", "street"),
        ("SEGTUNE_TOKEN", None, "worker.drain", "w"),
        ("laptop", "ada", "trial.cancel", "street 0"),
        ("laptop", "ada", "study.change", "street"),
        ("laptop", "ada", "study.submit", "street"),
        ("SEGTUNE_TOKEN", None, "token.create", "laptop"),
    ]
    assert found[3]["details"] == {"priority": 90}
    assert {one["action"] for one in found} <= set(DeedKind)
    of_it = server.get("/api/v1/audit", params={"study": 1}, headers=OPERATOR).json()["items"]
    assert len(of_it) == 4


def test_what_fails_is_not_kept(server: TestClient) -> None:
    """The line is written with the change, or neither is."""
    server.post("/api/v1/studies", json=study(), headers=OPERATOR)
    kept = server.get("/api/v1/audit", headers=OPERATOR).json()
    for body in ({"state": "running", "trials": 0}, {"weight": -1}):
        assert server.patch(SUBMITTED, json=body, headers=OPERATOR).status_code == 422
    server.patch(SUBMITTED, json={"state": "cancelled"}, headers=OPERATOR)
    assert server.patch(SUBMITTED, json={"trials": 9}, headers=OPERATOR).status_code == 409

    assert len(server.get("/api/v1/audit", headers=OPERATOR).json()["items"]) == 1 + len(
        kept["items"]
    )


def test_a_cursor_of_another_list(server: TestClient) -> None:
    """It is refused as with every list."""
    answer = server.get("/api/v1/audit", params={"cursor": "e30"}, headers=OPERATOR)

    assert answer.status_code == 422
