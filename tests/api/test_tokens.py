"""Tokens over HTTP: each route wants its scope, and every server hears of a revocation."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api import registry, scopes, security
from api.app import create_app
from api.registry import Registry
from api.settings import Settings
from api.startup import prepare
from tests.api.samples import running, study
from tests.loops import in_a_loop
from tuner.errors import InvalidInput, StorageError
from tuner.service import tokens
from tuner.spec.access import TokenRequest, TokenScope, implied
from tuner.store.engine import Database

TOKEN = "correct horse"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a server with a token of its own."""
    return Settings(_env_file=None, **{**settings.model_dump(), "token": TOKEN})


def bearer(client: TestClient, *wanted: TokenScope | str, name: str = "ada") -> dict[str, str]:
    """The header of a new token with these scopes."""
    body = {"name": name, "scopes": list(wanted)}
    made = client.post("/api/v1/tokens", json=body, headers=ADMIN)
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json()['secret']}"}


def _filled(path: str) -> str:
    """The path with something for each of its parameters."""
    for name in ("study", "number", "lease", "name", "artifact", "worker", "token", "version"):
        path = path.replace("{" + name + "}", "1")
    return path.replace("{action}", "drain").replace("{name:path}", "x").replace("{study}", "1")


def _routes() -> Iterator[tuple[str, str, scopes.Wanted]]:
    """Method, path and wanted scopes of every route of the application."""
    app = create_app(Settings(_env_file=None))
    wanted: dict[Any, scopes.Wanted] = dict(app.state.scopes)
    prefixes = {"/api/v1", ""}
    for outer in app.routes:
        for prefix, route in _flat(outer):
            assert prefix in prefixes
            for method in route.methods:
                if route.path != "/api/v1/openapi.json":
                    yield method, prefix + route.path, wanted[route.endpoint]


def _flat(outer: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The routes below one, as FastAPI nests them, each with what comes before its path."""
    if not hasattr(outer, "original_router"):
        yield prefix, outer
        return
    for inner in outer.original_router.routes:
        yield from _flat(inner, prefix + outer.include_context.prefix)


ROUTES = sorted(_routes(), key=lambda route: route[:2])


def test_every_route_wants_something() -> None:
    """Those that want nothing are the few that a stranger needs; the Guard opens the same."""
    free = {f"{method} {path}" for method, path, wanted in ROUTES if wanted is scopes.OPEN}
    at_guard = {f"{method} {path}" for method, path, _ in ROUTES if security.is_open(path)}

    assert len(ROUTES) > 90
    assert free - at_guard == {"GET /api/v1/health/live", "GET /api/v1/health/ready"}  # any token
    assert at_guard <= free
    assert free == {
        "GET /health/live",
        "GET /health/ready",
        "GET /api/v1/health/live",
        "GET /api/v1/health/ready",
        "GET /login",
        "POST /login",
        "POST /language",
        "GET /static/{version}/{name:path}",
    }


def test_the_table_names_routes_alone() -> None:
    """No row is about a route that there is not."""
    there = {f"{method} {path.removeprefix('/api/v1')}" for method, path, _ in ROUTES}

    assert {*scopes.API, *scopes.PAGES} <= there


@pytest.mark.parametrize("scope", [*TokenScope, None])
def test_no_route_answers_without_its_scope(settings: Settings, scope: TokenScope | None) -> None:
    """With another scope each route refuses before it reads anything; with its own none does."""
    with running(settings) as client:
        headers = {} if scope is None else bearer(client, scope)
        may = implied(frozenset({scope})) if scope else frozenset[TokenScope]()
        wrong = []
        for method, path, wanted in ROUTES:
            if wanted is scopes.OPEN or path.endswith(("/events", "/changes")):
                continue
            sent = {**headers, "Content-Type": "application/json", "Lease-Token": "x"}
            answer = client.request(
                method, _filled(path), headers=sent, content=b"{", follow_redirects=False
            )
            is_refused = answer.status_code in {401, 403} or (
                answer.headers.get("location", "").startswith("/login") and scope is None
            )
            if is_refused != (not may & (wanted or may)) and path != "/logout":
                wrong.append((method, path, answer.status_code))

    assert wrong == []


def test_a_refusal_says_what_is_missing(settings: Settings) -> None:
    """A problem body with the scope that is needed, and the one that there is."""
    with running(settings) as client:
        answer = client.post(
            "/api/v1/studies", json=study(), headers=bearer(client, "read", name="bob")
        )

    body = answer.json()
    assert (answer.status_code, body["type"]) == (403, "urn:segtune:forbidden")
    assert "scope submit, and 'bob' has read" in body["detail"]


def test_a_page_refuses_as_a_page(settings: Settings) -> None:
    """Who may only read gets a page that says so when they press a button."""
    with running(settings) as client:
        headers = {**bearer(client, "read"), "Accept": "text/html"}
        client.post("/api/v1/studies", json=study(), headers=ADMIN)
        assert client.get("/studies/1", headers=headers).status_code == 200
        answer = client.post("/studies/1/cancel", headers=headers)
        assert client.get("/api/v1/studies/1", headers=ADMIN).json()["state"] == "queued"

    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")
    assert "scope submit" in answer.text


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "a b", "scopes": ["read"]}, "name"),
        ({"name": "a" * 65, "scopes": ["read"]}, "name"),
        ({"name": "a\n", "scopes": ["read"]}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["root"]}, "scopes"),
        ({"name": "a", "scopes": ["read"], "days": 0}, "days"),
        ({"name": "a", "scopes": ["read"], "days": 1e9}, "days"),
        ({"name": "a", "scopes": ["read"], "secret": "mine"}, "secret"),
    ],
)
def test_a_wrong_request_makes_no_token(
    settings: Settings, body: dict[str, Any], place: str
) -> None:
    """The answer names what is wrong."""
    with running(settings) as client:
        answer = client.post("/api/v1/tokens", json=body, headers=ADMIN)
        listed = client.get("/api/v1/tokens", headers=ADMIN).json()

    assert answer.status_code == 422
    assert answer.json()["problems"][0]["location"][0] == place
    assert listed == []


def test_a_life_of_a_token(settings: Settings, database_url: str) -> None:
    """Made, used, rotated, revoked; its last use is known when the server has ended."""
    settings = settings.model_copy(update={"database_url": database_url})
    with running(settings) as client:
        old = bearer(client, "read")
        rotated = client.post("/api/v1/tokens/ada/rotate", headers=ADMIN).json()
        new = {"Authorization": f"Bearer {rotated['secret']}"}
        both = [client.get("/api/v1/studies", headers=each).status_code for each in (old, new)]
    with running(settings) as client:
        (shown,) = client.get("/api/v1/tokens", headers=ADMIN).json()
        client.post("/api/v1/tokens/ada/revoke", headers=ADMIN)
        after = client.get("/api/v1/studies", headers=new).status_code

    assert both == [200, 200]
    assert shown["last_used_at"] is not None
    assert "secret" not in shown
    assert after == 401


def test_another_server_hears_of_a_revocation(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the seconds for which it remembers; a new token is known at once."""
    now = [100.0]

    async def pause(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(registry, "monotonic", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", pause)

    async def scene() -> None:
        elsewhere = Registry(database)
        assert not await elsewhere.is_any()
        made = tokens.create(database, TokenRequest(name="ada", scopes=(TokenScope.READ,)))
        assert await elsewhere.find(made.secret) is not None
        assert await elsewhere.is_any()
        tokens.revoke(database, "ada")
        now[0] += registry.FRESH_SECONDS + 0.1
        assert await elsewhere.find(made.secret) is None

    in_a_loop(scene())


def test_guesses_cost_no_queries(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries a thousand secrets at once makes the server read a few times."""
    reads = list[Database]()
    known = tokens.known

    def read(db: Database) -> tokens.KnownTokens:
        reads.append(db)
        return known(db)

    monkeypatch.setattr(tokens, "known", read)

    async def scene() -> None:
        guarded = Registry(database)
        guesses = [guarded.find(f"guess {number}") for number in range(1000)]
        assert await asyncio.gather(*guesses) == [None] * 1000

    in_a_loop(scene())
    assert len(reads) <= 3


def test_tokens_outlast_a_silent_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a minute, in which nothing can be revoked either; then nobody is let in."""
    now, is_down = [100.0], [False]
    known = tokens.known
    made = tokens.create(database, TokenRequest(name="ada", scopes=(TokenScope.WORKER,)))

    def read(db: Database) -> tokens.KnownTokens:
        if is_down[0]:
            raise StorageError("the database did not answer")
        return known(db)

    monkeypatch.setattr(registry, "monotonic", lambda: now[0])
    monkeypatch.setattr(tokens, "known", read)

    async def scene() -> None:
        server = Registry(database)
        assert await server.find(made.secret) is not None
        is_down[0] = True
        now[0] += 30
        assert await server.find(made.secret) is not None
        now[0] += 31
        with pytest.raises(StorageError):
            await server.find(made.secret)

    in_a_loop(scene())


def test_the_first_token_closes_an_open_server(settings: Settings) -> None:
    """Without any token everyone on this machine is let in; with one nobody without it."""
    with running(settings.model_copy(update={"token": None})) as client:
        before = client.get("/api/v1/studies").status_code
        body = {"name": "ada", "scopes": ["admin"]}
        made = client.post("/api/v1/tokens", json=body).json()
        known = {"Authorization": f"Bearer {made['secret']}"}
        first = client.get("/api/v1/studies", headers=known).status_code
        client.post("/api/v1/tokens/ada/revoke", headers=known)

    with running(settings.model_copy(update={"token": None})) as client:
        after = client.get("/api/v1/studies").status_code

    assert (before, first, after) == (200, 200, 401)


def test_a_server_with_tokens_may_be_reached_by_others(settings: Settings) -> None:
    """It needs no SEGTUNE_TOKEN then, and takes any name as with one."""
    exposed = settings.model_copy(update={"token": None, "host": "0.0.0.0"})
    with pytest.raises(InvalidInput, match="segtune token create"):
        prepare(exposed)
    db = Database(settings.database_url)
    tokens.create(db, TokenRequest(name="ada", scopes=(TokenScope.READ,)))
    db.dispose()
    prepare(exposed)
    with running(exposed) as client:
        named = {"Host": "gpu-box:8000"}
        assert client.get("/api/v1/studies", headers=named).status_code == 401
        assert client.get("/health/live", headers=named).status_code == 200
