"""Which page an address belongs to: the ways out of a refused form, a login, an error."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi import APIRouter
from pydantic import SecretStr
from starlette.routing import Match, Route
from starlette.testclient import TestClient

from api.app import create_app
from api.dashboard import routes
from api.prefix import OWN
from api.referrals import page_of
from api.routes import health, metrics
from api.settings import Settings
from tests.dashboard.scenes import Scene
from tuner.service import studies
from tuner.store.engine import Database


def _flat(router: APIRouter) -> Iterator[Route]:
    """The routes of a router and of those that it includes."""
    for each in router.routes:
        if isinstance(each, Route):
            yield each
        else:
            yield from _flat(each.original_router)  # type: ignore[attr-defined]  # FastAPI's own


PAGES = list(_flat(routes.router))
FORMS = [route.path for route in PAGES if "POST" in (route.methods or ())]
_FILLED = {"{study}": "3", "{number}": "4", "{worker}": "w1", "{action}": "cancel"}


@pytest.fixture
def scene(db: Database) -> Scene:
    """A study of which a trial runs."""
    found = Scene.submit(db)
    found.take()
    return found


@pytest.fixture
def locked(settings: Settings) -> Iterator[TestClient]:
    """A browser's requests to a server that asks for a token."""
    guarded = settings.model_copy(update={"token": SecretStr("secret")})
    with TestClient(
        create_app(guarded),
        base_url="http://localhost",
        headers={"accept": "text/html"},
        follow_redirects=False,
    ) as client:
        yield client


def _filled(path: str) -> str:
    for name, value in _FILLED.items():
        path = path.replace(name, value)
    return path


def _answers_get(path: str) -> bool:
    scope = {"type": "http", "method": "GET", "path": path}
    return any(route.matches(scope)[0] is Match.FULL for route in PAGES)


@pytest.mark.parametrize("path", FORMS)
def test_every_form_belongs_to_a_page(path: str) -> None:
    """Whatever can be posted, its page can be asked for."""
    page = page_of(_filled(path))
    assert _answers_get(page)
    assert page_of(page) == page
    assert _filled(path).startswith(page)


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/studies/3/pause", "/studies/3"),
        ("/studies/streets/delete", "/studies/streets"),
        ("/studies/3/trials/cancel", "/studies/3"),
        ("/studies/3/trials/12/retry", "/studies/3/trials/12"),
        ("/studies/3/images", "/studies/3/images"),
        ("/queue/3/priority", "/queue"),
        ("/workers/w1/drain", "/workers"),
        ("/partials/studies/3", "/"),
        ("/logout", "/"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_the_page_of_an_address(path: str, page: str) -> None:
    """It is the nearest one above, which may be the address itself."""
    assert page_of(path) == page


def test_a_prefix_is_no_path_of_our_own(settings: Settings) -> None:
    """The first part of every route is refused as a prefix, and nothing else is."""
    app = create_app(settings)
    described = [route for route in app.routes if isinstance(route, Route)]  # of the API
    beside = (*_flat(health.router), *_flat(metrics.router), *PAGES)
    paths = [route.path for route in (*described, *beside)]
    first = {path.split("/")[1] for path in paths if path != "/"}
    assert first | {"favicon.ico"} == OWN  # which browsers ask for by themselves


def test_a_refused_form_leads_back(client: TestClient, scene: Scene) -> None:
    """To the page that it was on with its query, or else to the page of its address."""
    client.post("/studies/1/pause")
    came = {"referer": "http://localhost/?sort=name", "origin": "http://localhost"}

    from_list = client.post("/studies/1/pause", headers=came)
    from_nowhere = client.post("/studies/1/pause")

    assert (from_list.status_code, from_nowhere.status_code) == (409, 409)
    assert 'id="back" href="/?sort=name"' in from_list.text
    assert 'name="next" value="/?sort=name"' in from_list.text
    assert 'id="back" href="/studies/1"' in from_nowhere.text


@pytest.mark.parametrize(
    "referrer",
    [
        "https://evil.example/studies/2",
        "http://localhost:81/studies/2",
        "http://localhost/studies/2/pause",
        "//[",
        "/studies/2",
    ],
)
def test_what_is_no_page_of_ours_is_not_gone_back_to(
    client: TestClient, scene: Scene, referrer: str
) -> None:
    """Other sites, and addresses that take forms alone."""
    client.post("/studies/1/pause")
    answer = client.post("/studies/1/pause", headers={"referer": referrer})
    assert answer.status_code == 409
    assert 'id="back" href="/studies/1"' in answer.text


@pytest.mark.parametrize("path", ["/studies/1", "/studies/1/trials/0", "/studies/1/images"])
def test_a_deleted_study_can_be_restored_where_it_was(
    client: TestClient, scene: Scene, db: Database, path: str
) -> None:
    """Its address offers it as long as it can be; of no study it offers nothing."""
    assert 'id="restore"' not in client.get("/studies/7").text
    assert 'id="restore"' not in client.get("/nowhere").text
    studies.delete(db, 1, cancel=True)

    page = client.get(path)

    assert page.status_code == 404
    action = re.search(r'action="([^"]+)" id="restore"', page.text)
    assert action is not None
    answer = client.post(action[1])
    assert answer.status_code == 200
    assert client.get(path).status_code == 200
    assert 'id="restore"' not in client.get("/studies/1/trials/9999").text


@pytest.mark.parametrize(
    ("path", "headers", "target"),
    [
        ("/studies/1/delete", {}, "/studies/1"),
        ("/studies/1/delete", {"referer": "http://localhost/?state=paused"}, "/?state=paused"),
        ("/workers/w1/drain", {}, "/workers"),
    ],
)
def test_after_login_one_is_on_a_page(
    locked: TestClient, path: str, headers: dict[str, str], target: str
) -> None:
    """A form that was sent without a login leads to the page that it was on."""
    answer = locked.post(path, headers=headers)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={quote(target, safe='')}"


def test_the_login_page_changes_its_language(locked: TestClient) -> None:
    """Without a token too; after it one is at the login again, on the way to the same page."""
    asked = "/login?next=%2Fworkers"
    answer = locked.post("/language", data={"language": "zh", "next": asked})
    assert (answer.status_code, answer.headers["location"]) == (303, asked)
    assert 'lang="zh' in locked.get(asked).text
