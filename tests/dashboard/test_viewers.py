"""Those who look at the same live page share its refreshes; those who do not stay apart."""

import asyncio
from collections.abc import Hashable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from api.app import close_waits, create_app
from api.dashboard import viewers
from api.settings import Settings
from tests.dashboard.scenes import Scene
from tests.loops import in_a_loop
from tuner.service import details
from tuner.store.engine import Database

PARTIAL = "/partials/studies/1"


@pytest.fixture
def renderings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every study page that is read from the database."""
    found: list[str] = []
    read = details.study_detail

    def counted(db: Database, study: Any, *others: Any, **choices: Any) -> Any:
        found.append(str(study))
        return read(db, study, *others, **choices)

    monkeypatch.setattr("api.dashboard.study_page.study_detail", counted)
    return found


def fetched(settings: Settings, *requests: tuple[str, dict[str, str]]) -> list[httpx.Response]:
    """The answers to requests that come at the same time."""

    async def together() -> list[httpx.Response]:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return await asyncio.gather(
                *(client.get(path, headers=headers) for path, headers in requests)
            )

    return in_a_loop(together())


def test_twenty_viewers_are_one_rendering(
    settings: Settings, db: Database, renderings: list[str]
) -> None:
    """All get the same page, whatever their browsers and proxies add."""
    Scene.played(db, 3)
    renderings.clear()
    names = ("user-agent", "x-request-id", "x-forwarded-for", "traceparent", "if-none-match")
    browsers = [
        (PARTIAL, {"cookie": f"_ga={n}; theirs={n}", **dict.fromkeys(names, f"number {n}")})
        for n in range(20)
    ]
    answers = fetched(settings, *browsers)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].headers["cache-control"] == "no-store"
    assert len(renderings) == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{PARTIAL}?sort=value", {}),
        (PARTIAL, {"accept-language": "zh"}),
        (PARTIAL, {"cookie": "segtune_theme=dark"}),
        (PARTIAL, {"cookie": "segtune_language=zh"}),
        (PARTIAL, {"cookie": "segtune_session=x"}),
        (PARTIAL, {"cookie": "theirs=1; segtune_theme=dark"}),
        (PARTIAL, {"x-forwarded-prefix": "/tune"}),
        (PARTIAL, {"host": "127.0.0.1"}),
        (PARTIAL, {"accept-encoding": "identity"}),
    ],
)
def test_readers_who_see_something_else_stay_apart(
    path: str, headers: dict[str, str], settings: Settings, db: Database, renderings: list[str]
) -> None:
    """Another order, language, scheme or prefix is another page."""
    Scene.played(db, 3)
    renderings.clear()
    fetched(settings, (PARTIAL, {}), (path, headers))

    assert len(renderings) == 2


def test_an_error_is_shared_as_a_page(settings: Settings) -> None:
    """A study that is not there is a 404 for each of those who asked."""
    answers = fetched(settings, *[("/partials/studies/9", {"accept": "text/html"})] * 3)

    assert [answer.status_code for answer in answers] == [404] * 3


NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20).map(str.encode)
VALUES = st.text(st.characters(codec="latin-1", exclude_characters=";"), max_size=20).map(
    lambda text: text.encode("latin-1")
)
OWN_COOKIES = st.sampled_from(sorted(viewers.COOKIES))
KEPT_HEADERS = st.sampled_from(sorted(viewers.HEADERS))
SEEN = st.dictionaries(KEPT_HEADERS, VALUES)
JAR = st.dictionaries(OWN_COOKIES, VALUES)
FOREIGN = st.dictionaries(
    NAMES.filter(lambda name: name not in viewers.HEADERS | {b"cookie", b"accept-encoding"}), VALUES
)
FOREIGN_JAR = st.dictionaries(NAMES.filter(lambda name: name not in viewers.COOKIES), VALUES)


def scope_of(headers: dict[bytes, bytes], jar: dict[bytes, bytes]) -> Scope:
    """A request with headers and cookies, in the order given."""
    cookie = b"; ".join(b"=".join(pair) for pair in jar.items())
    pairs = [*headers.items(), *([(b"cookie", cookie)] if cookie else [])]
    address = {"path": PARTIAL, "query_string": b"", "scheme": "http", "method": "GET"}
    return {"type": "http", "client": ("10.0.0.1", 1), "headers": pairs, **address}


def asked(scope: Scope) -> Hashable:
    """What is asked in a request."""
    return viewers.question(viewers.without_the_rest(scope))


@given(SEEN, JAR, FOREIGN, FOREIGN_JAR)
def test_what_others_add_to_a_request_keeps_nobody_apart(
    headers: dict[bytes, bytes],
    jar: dict[bytes, bytes],
    foreign: dict[bytes, bytes],
    foreign_jar: dict[bytes, bytes],
) -> None:
    """The question is the same, and what is rendered knows nothing of it."""
    plain = scope_of(headers, jar)
    crowded = scope_of(foreign | headers, foreign_jar | jar)
    seen = viewers.without_the_rest(crowded)

    assert asked(plain) == asked(crowded)
    assert seen["client"] is None
    assert not {name for name, _ in seen["headers"]} & foreign.keys()
    assert not HTTPConnection(seen).cookies.keys() & {name.decode() for name in foreign_jar}


@given(SEEN, SEEN, JAR, JAR)
def test_what_pages_depend_on_keeps_viewers_apart(
    headers: dict[bytes, bytes],
    others: dict[bytes, bytes],
    jar: dict[bytes, bytes],
    other_jar: dict[bytes, bytes],
) -> None:
    """Two who ask the same see the same headers and cookies."""
    one, other = scope_of(headers, jar), scope_of(others, other_jar)
    if headers != others or HTTPConnection(one).cookies != HTTPConnection(other).cookies:
        assert asked(one) != asked(other)
    for scope in (one, other):
        seen = HTTPConnection(viewers.without_the_rest(scope))
        assert seen.cookies == HTTPConnection(scope).cookies


def test_pages_read_nothing_else_of_a_request(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every header and cookie that is looked at while pages are made is part of the question."""
    Scene.played(db, 3)
    headers, cookies = set[str](), set[str]()
    get, cookies_of = Headers.__getitem__, vars(HTTPConnection)["cookies"].fget

    class Jar(dict[str, str]):
        def get(self, key: str, default: Any = None) -> Any:
            cookies.add(key)
            return super().get(key, default)

        def __contains__(self, key: object) -> bool:
            cookies.add(str(key))
            return super().__contains__(key)

    def noted(self: Headers, key: str) -> str:
        headers.add(key.lower())
        return get(self, key)

    monkeypatch.setattr(Headers, "__getitem__", noted)
    jar = property(lambda connection: Jar(cookies_of(connection)))
    monkeypatch.setattr(HTTPConnection, "cookies", jar)
    html = {"accept": "text/html", "cookie": "segtune_theme=dark"}
    paths = ("studies", "studies/1", "studies/1/charts/history", "studies/1/trials/0", "workers",
             "queue", "compare?trials=1:0,1:1", "studies/1/images", "studies/1/analysis",
             "studies/9")  # fmt: skip
    answers = fetched(settings, *[(f"/partials/{path}", html) for path in paths])

    assert {answer.status_code for answer in answers} == {200, 404}
    assert headers - {"origin"} <= {name.decode() for name in viewers.HEADERS} | {
        "cookie", "accept-encoding", "location"  # the last of answers
    }  # fmt: skip
    assert {name.encode() for name in cookies} == viewers.COOKIES


def test_a_server_that_stops_makes_no_more_pages(
    settings: Settings, db: Database, renderings: list[str]
) -> None:
    """Who still asks is told so at once, with a reader's process and without."""
    Scene.played(db, 3)
    renderings.clear()

    async def scene() -> httpx.Response:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            close_waits(app)
            return await client.get(PARTIAL)

    answer = in_a_loop(scene())
    assert (answer.status_code, renderings) == (503, [])
    assert "the server stops" in answer.json()["detail"]
