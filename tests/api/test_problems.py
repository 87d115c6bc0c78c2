import inspect

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api import errors as api_errors
from api.app import create_app
from api.errors import ProblemBody, look_up, of_error
from api.settings import Settings
from tests.api.samples import running
from tuner import errors
from tuner.errors import InvalidInput, Problem, SegtuneError

KINDS = sorted(
    {
        kind
        for module in (errors, api_errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, SegtuneError)
    },
    key=lambda kind: kind.__name__,
)


def _make(kind: type[SegtuneError]) -> SegtuneError:
    if issubclass(kind, InvalidInput):
        return kind([Problem(("space", "optimizer.lr", 0), "wrong")])
    return kind("what was seen, what was allowed")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_body(kind: type[SegtuneError], client: TestClient) -> None:
    """Every error of ours becomes a problem body with the status of the table."""
    app = client.app
    assert isinstance(app, FastAPI)

    def fail() -> None:
        raise _make(kind)

    app.add_api_route("/api/v1/fail", fail)
    answer = client.get("/api/v1/fail")

    body = ProblemBody.model_validate_json(answer.content)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body.title) == look_up(kind)
    assert body.status == answer.status_code
    assert body.type.startswith("urn:segtune:")
    assert body.detail == str(_make(kind))
    assert body.instance == "/api/v1/fail"
    assert (body.problems is not None) == issubclass(kind, InvalidInput)


def test_clients_know_all_invalid_input_by_one_type() -> None:
    """A cursor that is wrong has the `type` that clients have always known it by."""
    body = of_error(InvalidInput([Problem(("cursor",), "wrong")]), "/x")
    assert (422, "urn:segtune:invalid-spec") == (body.status, body.type)


def test_new_error_goes_by_its_parent() -> None:
    """An error that the table does not list has its parent's status, and its own type."""

    class Fresh(errors.Conflict):
        pass

    body = of_error(Fresh("x"), "/x")
    assert (body.status, body.type) == (409, "urn:segtune:fresh")


def test_unexpected_error(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody expected shows an id, and the log has the rest under that id."""
    app = client.app
    assert isinstance(app, FastAPI)

    def fail() -> None:
        raise ZeroDivisionError("secret detail")

    app.add_api_route("/api/v1/fail", fail)
    answer = client.get("/api/v1/fail")

    body = ProblemBody.model_validate_json(answer.content)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert body.incident is not None
    assert body.incident in caplog.text
    assert "secret detail" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/studies", 404),
        ("PUT", "/api/v1/studies", 405),
        ("GET", "/api/v1/studies/%00", 422),
        ("GET", "/api/v1/studies/a%20b", 422),
        ("GET", "/api/v1/studies/none", 404),
        ("GET", "/api/v1/studies/" + "9" * 40, 404),
        ("GET", "/api/v1/studies?limit=501", 422),
        ("GET", "/api/v1/studies?limit=x", 422),
        ("GET", "/api/v1/studies?state=odd", 422),
        ("GET", "/api/v1/studies?cursor=odd", 422),
        ("GET", "/api/v1/studies?cursor=" + "x" * 2000, 422),
        ("GET", "/api/v1/artifacts/0", 422),
        ("POST", "/api/v1/leases", 415),
        ("PATCH", "/api/v1/studies/none", 415),
    ],
)
def test_refusals(client: TestClient, method: str, path: str, status: int) -> None:
    """Whatever is refused is refused with a problem body."""
    answer = client.request(method, path)

    body = ProblemBody.model_validate_json(answer.content)
    assert (answer.status_code, body.status) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body.problems is not None) == (status == 422)


def test_pages_get_pages(client: TestClient) -> None:
    """A browser that asks for a page that is not there gets a page, a program a problem."""
    page = client.get("/nothing", headers={"Accept": "text/html"})
    problem = client.get("/nothing", headers={"Accept": "application/json"})

    assert (page.status_code, problem.status_code) == (404, 404)
    assert page.headers["content-type"].startswith("text/html")
    assert problem.headers["content-type"] == "application/problem+json"


def test_no_database(settings: Settings) -> None:
    """A server whose tables are gone lives, but is not ready."""
    with running(settings) as client:
        client.app.state.opened.db.engine.dispose()  # type: ignore[attr-defined]  # a FastAPI
        with client.app.state.opened.db.transaction() as session:  # type: ignore[attr-defined]
            session.connection().exec_driver_sql("DROP TABLE alembic_version")
        live, ready = client.get("/health/live"), client.get("/health/ready")

    assert (live.status_code, ready.status_code) == (200, 503)
    assert ready.json()["type"] == "urn:segtune:storage-error"


def test_a_database_that_left_between_checks(settings: Settings) -> None:
    """A server that has migrated it starts without it, says so, and waits for its return."""
    gone = settings.model_copy(update={"database_url": "postgresql://nobody@/x?host=/nowhere"})
    app = create_app(gone, is_prepared=True)
    with TestClient(app, base_url="http://localhost") as client:
        live, ready = client.get("/health/live"), client.get("/health/ready")

    assert (live.status_code, ready.status_code) == (200, 503)
    assert "did not answer" in ready.json()["detail"]
