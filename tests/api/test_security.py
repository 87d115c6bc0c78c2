import pytest
from starlette.testclient import TestClient

from api.security import check_exposure, is_loopback
from api.settings import Settings
from tests.api.samples import running, study
from tuner.errors import InvalidInput

TOKEN = "correct horse"


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    """Settings of a server with a token."""
    return Settings(
        _env_file=None, **{**settings.model_dump(), "token": TOKEN, "host": "127.0.0.1"}
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": TOKEN}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Cookie": "segtune_session=wrong"}, 401),
        ({"Cookie": f'segtune_session="{TOKEN}"'}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer {TOKEN}"}, 200),
    ],
)
def test_token(guarded: Settings, headers: dict[str, str], status: int) -> None:
    """Only the token opens the API, as bearer header; never as a cookie."""
    with running(guarded) as client:
        answer = client.get("/api/v1/studies", headers=headers)

    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "urn:segtune:unauthorized"
        is_sent = (
            headers.get("Authorization", "").startswith("Bearer ")
            and headers["Authorization"] != "Bearer "
        )
        wanted = "has expired or was revoked" if is_sent else "send the header"
        assert wanted in answer.json()["detail"]


def test_every_route_is_guarded(guarded: Settings) -> None:
    """No route of the API answers without the token, unknown ones included."""
    with running(guarded) as client:
        paths = client.app.openapi()["paths"]  # type: ignore[attr-defined]  # a FastAPI
        answers = {
            (method, path): client.request(method, path.format(**dict.fromkeys(_NAMES, "1")))
            for path, operations in paths.items()
            for method in operations
        }
        unknown = client.get("/api/v1/unknown").status_code
        schema = client.get("/api/v1/openapi.json").status_code

    assert {answer.status_code for answer in answers.values()} == {401}
    assert (unknown, schema) == (401, 401)


_NAMES = ("worker", "study", "number", "lease", "name", "artifact", "token", "owner")


def test_health_is_open(guarded: Settings) -> None:
    """A load balancer may ask for health without the token."""
    with running(guarded) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200


def test_pages_lead_to_login(guarded: Settings) -> None:
    """A browser without the token is sent to the login page, and back afterwards."""
    with running(guarded) as client:
        answer = client.get("/studies/1?state=running", follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fstudies%2F1%3Fstate%3Drunning"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("tuner.localhost", 200),
        ("gpu-box:8000", 200),
        ("GPU-BOX", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_host(settings: Settings, host: str, status: int) -> None:
    """Without a token only this machine's own names and the allowed ones are served."""
    with running(settings.model_copy(update={"allowed_hosts": ("gpu-box",)})) as client:
        answer = client.get("/api/v1/studies", headers={"Host": host})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 201),
        ("http://localhost", 201),
        ("https://front.example", 201),
        ("http://evil.example", 403),
        ("http://localhost:3000", 403),
        ("null", 403),
    ],
)
def test_origin(settings: Settings, origin: str | None, status: int) -> None:
    """A page of another origin cannot make a user's browser change anything."""
    headers = {} if origin is None else {"Origin": origin}
    with running(settings.model_copy(update={"allowed_hosts": ("front.example",)})) as client:
        assert client.post("/api/v1/studies", json=study(), headers=headers).status_code == status


def test_refused_before_the_body(guarded: Settings) -> None:
    """Who may not ask is turned away before the body is looked at."""
    with running(guarded) as client:
        answer = client.post("/api/v1/studies", content=b"{", headers={"Content-Type": "x/y"})

    assert answer.status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "gpu-box"])
def test_exposure(settings: Settings, host: str) -> None:
    """Without a token the server does not listen where others could reach it."""
    with pytest.raises(InvalidInput, match="SEGTUNE_TOKEN"):
        check_exposure(settings.model_copy(update={"host": host}))


def test_exposure_with_token(guarded: Settings) -> None:
    """With a token it listens anywhere."""
    check_exposure(guarded.model_copy(update={"host": "0.0.0.0"}))

    assert guarded.token is not None


def test_token_is_not_shown(guarded: Settings) -> None:
    """Printing the settings does not give the token away."""
    assert TOKEN not in repr(guarded)
    assert TOKEN not in guarded.model_dump_json()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "a.localhost"]
)
def test_loopback(host: str) -> None:
    """Every name of this machine's own is one."""
    assert is_loopback(host)


def test_client_fixture_has_no_token(client: TestClient) -> None:
    """Without a token in the settings, none is asked for."""
    assert client.get("/api/v1/studies").status_code == 200
