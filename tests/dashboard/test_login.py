"""Logins: a cookie that is not the token, good for as long as what was shown is good."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from starlette.testclient import TestClient

from api import registry, security
from api.app import create_app
from api.dashboard.routes import session
from api.settings import Settings
from tests.dashboard.scenes import Scene
from tuner.service import overview, tokens
from tuner.spec.access import RotationRequest, TokenRequest, TokenScope
from tuner.spec.states import StudyState
from tuner.store.engine import Database

TOKEN = "correct horse"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds by which a server remembers; a test lets them pass."""
    now = [1e6]
    monkeypatch.setattr(registry, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def locked(settings: Settings, clock: list[float]) -> Iterator[TestClient]:
    """A browser before a server that has a token of its own."""
    with _browser(settings, TOKEN) as client:
        yield client


def _browser(settings: Settings, token: str | None, url: str = "http://localhost") -> TestClient:
    secret = None if token is None else SecretStr(token)
    app = create_app(settings.model_copy(update={"token": secret}))
    html = {"accept": "text/html"}
    return TestClient(app, base_url=url, headers=html, follow_redirects=False)


def made(db: Database, *scopes: TokenScope, name: str = "ada") -> str:
    """The secret of a new token."""
    return tokens.create(db, TokenRequest(name=name, scopes=scopes)).secret


def log_in(client: TestClient, secret: str) -> int:
    """The status of a login with this secret."""
    return client.post("/login", data={"token": secret, "next": "/workers"}).status_code


def is_in(client: TestClient) -> bool:
    """Whether the browser sees a page, and is not led to the login."""
    answer = client.get("/workers")
    assert answer.status_code == 200 or answer.headers["location"].startswith("/login")
    return answer.status_code == 200


def test_the_cookie_is_not_the_token(locked: TestClient, db: Database) -> None:
    """Neither it nor the token can be read from the database."""
    assert log_in(locked, TOKEN) == 303
    cookie = locked.cookies[security.COOKIE]
    with db.reading() as read:
        rows = repr(read.execute(text("SELECT * FROM logins")).all())

    assert is_in(locked)
    assert TOKEN not in cookie + rows
    assert tokens.digest(TOKEN) not in rows
    assert cookie not in rows


@pytest.mark.parametrize("scope", [TokenScope.READ, TokenScope.SUBMIT, TokenScope.ADMIN])
def test_a_token_that_may_read_logs_in(locked: TestClient, db: Database, scope: TokenScope) -> None:
    """With its scopes: the cookie may what the token may."""
    Scene.played(db, 1)
    assert log_in(locked, made(db, scope)) == 303
    assert is_in(locked)
    answer = locked.post("/studies/1/pause", headers={"origin": "http://localhost"})
    assert answer.status_code == (403 if scope is TokenScope.READ else 303)
    state = overview.study(db, 1).state
    assert (state is StudyState.PAUSED) == (scope is not TokenScope.READ)


def test_a_worker_does_not_log_in(locked: TestClient, db: Database) -> None:
    """Its token may not read; no cookie is given."""
    assert log_in(locked, made(db, TokenScope.WORKER)) == 403
    assert not locked.cookies
    assert not is_in(locked)


def test_logging_out_is_for_good(locked: TestClient) -> None:
    """Who has copied the cookie is out, too."""
    log_in(locked, TOKEN)
    stolen = locked.cookies[security.COOKIE]
    assert locked.post("/logout").status_code == 303
    locked.cookies.set(security.COOKIE, stolen)
    assert not is_in(locked)


def test_another_process_hears_of_the_logout(
    locked: TestClient, settings: Settings, clock: list[float]
) -> None:
    """After the seconds for which it remembers."""
    log_in(locked, TOKEN)
    with _browser(settings, TOKEN) as other:
        other.cookies.update(locked.cookies)
        assert is_in(other)
        locked.post("/logout")
        clock[0] += registry.FRESH_SECONDS + 0.1
        assert not is_in(other)


def test_a_login_ends_with_its_token(locked: TestClient, db: Database, clock: list[float]) -> None:
    """Revoked, or rotated and past the overlap."""
    secret = made(db, TokenScope.READ)
    log_in(locked, secret)
    clock[0] += 3
    tokens.rotate(db, "ada", RotationRequest(overlap_hours=1))
    assert is_in(locked)
    clock[0] += 3
    tokens.rotate(db, "ada", RotationRequest(overlap_hours=0))
    assert not is_in(locked)

    log_in(locked, made(db, TokenScope.READ, name="bob"))
    assert is_in(locked)
    tokens.revoke(db, "bob")
    clock[0] += 3
    assert not is_in(locked)


@pytest.mark.parametrize("token", ["another", None])
def test_a_login_ends_with_the_server_s_token(
    locked: TestClient, settings: Settings, db: Database, token: str | None
) -> None:
    """A server that was started with another text, or none, does not know it."""
    made(db, TokenScope.READ)
    log_in(locked, TOKEN)
    with _browser(settings, token) as later:
        later.cookies.update(locked.cookies)
        assert not is_in(later)


def test_a_login_is_over_one_day(
    locked: TestClient, monkeypatch: pytest.MonkeyPatch, db: Database
) -> None:
    """After its time it lets nobody in, and the next login removes it."""
    monkeypatch.setattr(session, "_LASTS", timedelta(microseconds=1))
    log_in(locked, TOKEN)
    assert not is_in(locked)
    monkeypatch.setattr(session, "_LASTS", timedelta(days=30))
    log_in(locked, TOKEN)
    with db.reading() as read:
        assert read.scalar(text("SELECT count(*) FROM logins")) == 1


@pytest.mark.parametrize(("url", "is_secure"), [("http", False), ("https", True)])
def test_the_cookie_is_for_this_server_alone(
    settings: Settings, url: str, *, is_secure: bool
) -> None:
    """No script reads it, no other site sends it, and behind https nothing else carries it."""
    with _browser(settings, TOKEN, f"{url}://localhost") as client:
        answer = client.post("/login", data={"token": TOKEN})
    parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}

    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert ("secure" in parts) == is_secure


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost"}, 303),
        ({"origin": "http://localhost", "sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_no_other_site_presses_a_button(
    locked: TestClient, db: Database, headers: dict[str, str], status: int
) -> None:
    """Also where a browser tells not the origin, but where a request comes from."""
    Scene.played(db, 1)
    log_in(locked, TOKEN)

    assert locked.post("/studies/1/pause", headers=headers).status_code == status


def test_foreign_cookies_take_no_memory(
    locked: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server remembers some of them, and forgets the oldest."""
    monkeypatch.setattr(registry, "_MOST_LOGINS", 5)
    for number in range(12):
        locked.cookies.set(security.COOKIE, f"guess-{number}")
        assert not is_in(locked)
    remembered = locked.app.state.opened.tokens._logins  # type: ignore[attr-defined]

    assert len(remembered) == 5
