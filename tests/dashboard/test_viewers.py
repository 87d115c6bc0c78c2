"""Those who look at the same live page share its refreshes; those who do not stay apart."""

import asyncio
from typing import Any

import httpx
import pytest

from api.app import create_app
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
    """All get the same page, whatever their browsers call themselves."""
    Scene.submit(db).play(3)
    renderings.clear()
    viewers = [(PARTIAL, {"user-agent": f"browser {index}"}) for index in range(20)]
    answers = fetched(settings, *viewers)

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
        (PARTIAL, {"x-forwarded-prefix": "/tune"}),
    ],
)
def test_readers_who_see_something_else_stay_apart(
    path: str, headers: dict[str, str], settings: Settings, db: Database, renderings: list[str]
) -> None:
    """Another order, language, scheme or prefix is another page."""
    Scene.submit(db).play(3)
    renderings.clear()
    fetched(settings, (PARTIAL, {}), (path, headers))

    assert len(renderings) == 2


def test_an_error_is_shared_as_a_page(settings: Settings) -> None:
    """A study that is not there is a 404 for each of those who asked."""
    answers = fetched(settings, *[("/partials/studies/9", {"accept": "text/html"})] * 3)

    assert [answer.status_code for answer in answers] == [404] * 3
