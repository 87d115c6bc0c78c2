"""Below a path of a reverse proxy every link, file, form, stream and answer leads back below it."""

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from api.dashboard import assets
from api.prefix import OWN, normalized
from api.settings import Settings
from tests.api.samples import lease_token, serving, study, train
from tests.dashboard.proxy import PREFIX, Manner, proxied
from tests.dashboard.scenes import Scene
from tuner.client import Client
from tuner.service import artifacts
from tuner.store.artifacts import ArtifactStore, Upload
from tuner.store.engine import Database
from workers.client import ServerClient

_ADDRESSES = ("href", "src", "action", "data-live", "data-later", "data-turn", "data-events")
MANNERS = {
    "strips and tells": ("", Manner(tells=True)),
    "strips": (PREFIX, Manner()),
    "strips, by another name": (PREFIX, Manner(keeps_host=False)),
    "leaves": (PREFIX, Manner(strips=False)),
    "leaves and tells": ("", Manner(strips=False, tells=True)),
    "all at once": (f"{PREFIX}/", Manner(strips=False, tells=True)),
}


class _Links(HTMLParser):
    """Every address that a page holds, by tag and attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str, str]] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses."""
        self.found |= {(tag, name, value or "") for name, value in attrs if name in _ADDRESSES}


@pytest.fixture(params=MANNERS, ids=str)
def address(request: pytest.FixtureRequest, settings: Settings) -> Iterator[str]:
    """URL of a server behind a proxy of each manner."""
    root_path, manner = MANNERS[request.param]
    changed = settings.model_copy(update={"root_path": normalized(root_path)})
    with serving(changed) as live, proxied(str(live.client.base_url), manner) as url:
        yield url


@pytest.fixture
def browser(address: str) -> Iterator[httpx.Client]:
    """A browser that goes where it is told, within a short time."""
    with httpx.Client(
        headers={"accept": "text/html"}, follow_redirects=True, timeout=10, trust_env=False
    ) as client:
        yield client


def _walk(browser: httpx.Client, start: str) -> dict[str, httpx.Response]:
    """Every page, partial and file that can be reached from a page, two queries of each."""
    answers: dict[str, httpx.Response] = {}
    visits: Counter[str] = Counter()
    todo = [start]
    while todo:
        url = todo.pop().partition("#")[0]
        path = urlsplit(url).path
        if url in answers or visits[path] == 2:
            continue
        visits[path] += 1
        answers[url] = browser.get(url)
        if "text/html" not in answers[url].headers.get("content-type", ""):
            continue
        for tag, name, value in _Links(answers[url].text).found:
            if tag != "form" and name != "data-events":
                todo.append(urljoin(url, value))
    return answers


def test_every_address_of_every_page_works(
    address: str, browser: httpx.Client, db: Database, settings: Settings
) -> None:
    """Whatever a page points to is there, below the prefix; nothing points elsewhere."""
    scene = Scene.played(db, 2, running=1)
    _preview(db, settings, scene)
    found = _walk(browser, f"{address}/")

    assert dict.fromkeys(found, 200) == {url: answer.status_code for url, answer in found.items()}
    paths = {urlsplit(url).path.removeprefix(PREFIX) for url in found}
    assert all(urlsplit(url).path.startswith(f"{PREFIX}/") for url in found)
    for wanted in ("/", "/studies/1", "/studies/1/trials/0", "/workers", "/partials/studies/1",
                   assets.address("app.css"), assets.address("app.js"), assets.address("icon.svg"),
                   "/api/v1/artifacts/1",
                   "/partials/studies/1/importance", "/api/v1/studies/1/best"):  # fmt: skip
        assert wanted in paths


def _preview(db: Database, settings: Settings, scene: Scene) -> None:
    """Give the running trial a picture to show."""
    store = ArtifactStore(settings.artifact_folder)
    stored = store.write([b"picture"], sha256=None, limit=100)
    work = scene.take("gpu-9")
    upload = Upload("preview.png", "preview", 1, stored)
    artifacts.attach(db, work.lease, work.token, upload, store=store)


def test_forms_and_streams_work(address: str, browser: httpx.Client, db: Database) -> None:
    """A button changes the study and comes back to its page; the page hears of it."""
    Scene.submit(db)
    page = f"{address}/studies/1"
    links = _Links(browser.get(page).text).found
    pause = next(value for _, name, value in links if name == "action" and "pause" in value)
    stream = next(value for _, name, value in links if name == "data-events")
    changed = browser.post(urljoin(page, pause))

    assert (changed.status_code, str(changed.url)) == (200, page)
    assert "Resume" in changed.text
    with browser.stream("GET", urljoin(page, stream)) as events:
        assert any("study.changed" in line for line in events.iter_lines())


def test_the_api_answers_with_addresses_below_the_prefix(
    address: str, browser: httpx.Client
) -> None:
    """Location names what was made as the caller reaches it."""
    made = browser.post(f"{address}/api/v1/studies", json=study())
    again = browser.get(urljoin(address, made.headers["location"]))
    slash = browser.get(f"{address}/api/v1/studies/")

    assert made.headers["location"] == f"{PREFIX}/api/v1/studies/1"
    assert again.json()["name"] == "street"
    assert slash.json()["items"][0]["name"] == "street"


def test_commands_and_workers_go_below_the_prefix(address: str, browser: httpx.Client) -> None:
    """`--server http://host/tune` is an address like any other."""
    shown = browser.get(f"{address}/workers").text
    with Client(address) as client:
        assert client.submit(study()).name == "street"
    with httpx.Client(base_url=address, timeout=10, trust_env=False) as worker:
        train(worker)
        assignment = worker.post("/api/v1/leases", json={"worker": "w1"}).json()
    server = ServerClient(address)
    server.renew(assignment["lease"], lease_token(assignment)["Lease-Token"])
    server.close()

    assert re.search(rf"segtune worker --server http://127\.0\.0\.1:\d+{PREFIX}<", shown)


def test_logging_in_and_out(settings: Settings, db: Database) -> None:
    """The way to the form and back stays below the prefix, and so does the cookie."""
    guarded = settings.model_copy(update={"token": SecretStr("secret"), "root_path": PREFIX})
    with (
        serving(guarded) as live,
        proxied(str(live.client.base_url), Manner()) as address,
        httpx.Client(timeout=10, trust_env=False) as browser,
    ):
        asked = browser.get(f"{address}/workers")
        form = browser.get(urljoin(address, asked.headers["location"]))
        entered = browser.post(f"{address}/login", data={"next": "/workers", "token": "secret"})
        page = browser.get(urljoin(address, entered.headers["location"]))
        left = browser.post(f"{address}/logout")

    assert asked.headers["location"] == f"{PREFIX}/login?next=%2Fworkers"
    assert f'action="{PREFIX}/login"' in form.text
    assert f"Path={PREFIX};" in entered.headers["set-cookie"]
    assert (page.status_code, page.url.path) == (200, f"{PREFIX}/workers")
    assert left.headers["location"] == f"{PREFIX}/login"
    assert f"Path={PREFIX};" in left.headers["set-cookie"]


def test_an_error_is_a_page_below_the_prefix(address: str, browser: httpx.Client) -> None:
    """A wrong address shows a page with its styles, and a way back."""
    page = browser.get(f"{address}/nowhere")

    assert page.status_code == 404
    assert f"Nothing lives at {PREFIX}/nowhere" in page.text
    assert f'href="{PREFIX}{assets.address("app.css")}"' in page.text


@pytest.mark.parametrize(
    "said",
    ["//evil.example", "/a//b", "/../x", "javascript:x", '/"><script>', "/a b", "/studies", "/."],
)
def test_a_prefix_that_is_none_is_not_shown(said: str, settings: Settings) -> None:
    """What a caller says of the prefix never becomes an address elsewhere."""
    with serving(settings) as live:
        page = live.client.get(
            "/workers", headers={"X-Forwarded-Prefix": said, "Accept": "text/html"}
        )

    assert page.status_code == 200
    assert f'href="{assets.address("app.css")}"' in page.text


@pytest.mark.parametrize(
    ("given", "prefix"), [("", ""), ("/", ""), ("tune", "/tune"), ("/a/b.c/", "/a/b.c")]
)
def test_a_prefix_is_read_as_meant(given: str, prefix: str, tmp_path: Path) -> None:
    """With or without slashes around it."""
    assert Settings(_env_file=None, home=tmp_path, root_path=given).root_path == prefix


@pytest.mark.parametrize(
    "given", ["/a b", "http://x/tune", "/..", *sorted(f"/{name}" for name in OWN)]
)
def test_a_prefix_that_cannot_be_is_refused(given: str, tmp_path: Path) -> None:
    """Nor one that could be taken for a path of the server's own."""
    with pytest.raises(ValidationError, match="root_path"):
        Settings(_env_file=None, home=tmp_path, root_path=given)


def test_no_template_forgets_the_prefix() -> None:
    """Addresses in templates begin with it."""
    folder = Path(__file__).parents[2] / "api" / "dashboard" / "templates"
    for path in folder.glob("*.html"):
        assert not re.findall(r'(?:href|src|action|data-[a-z]+)="/', path.read_text()), path.name
