"""The stream that tells pages about all studies that something has changed."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import SecretStr

from api.dashboard.routes import changes
from api.settings import Settings
from tests.api.samples import Live, serving, study

URL = "/partials/changes"


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """A real server without a study."""
    with serving(settings) as live:
        yield live


@contextmanager
def listening(live: Live, **headers: str) -> Iterator[Iterator[str]]:
    """The lines of a stream, as they come."""
    with live.client.stream("GET", URL, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield (line for line in answer.iter_lines() if line)


def heard(lines: Iterator[str]) -> str:
    """The number of the next change."""
    number = next(line for line in lines if line.startswith("id: "))
    assert next(lines) == "event: change"
    assert next(lines).startswith("data: ")
    return number.removeprefix("id: ")


def submit(live: Live, name: str) -> None:
    """A change that any client may make."""
    assert live.client.post("/api/v1/studies", json=study(name)).status_code == 201


def test_a_stream_begins_with_a_change_and_tells_the_next(live: Live) -> None:
    """A page may be older than its stream: it is told at once, then of what happens."""
    with listening(live) as lines:
        first = heard(lines)
        submit(live, "street")
        assert heard(lines) != first


def test_a_stream_resumes(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has heard the last change hears nothing until there is another, however it was missed."""
    monkeypatch.setattr(changes, "KEEP_ALIVE_SECONDS", 0.05)
    with listening(live) as lines:
        last = heard(lines)
    with listening(live, **{"Last-Event-ID": last}) as lines:
        assert next(line for line in lines if not line.startswith("retry")) == ": still here"
    submit(live, "street")
    with listening(live, **{"Last-Event-ID": last}) as lines:
        assert heard(lines) != last


def test_who_is_not_logged_in_hears_nothing(settings: Settings) -> None:
    """As with any page, the login comes first."""
    with serving(settings.model_copy(update={"token": SecretStr("secret")})) as live:
        answer = httpx.get(live.client.base_url.join(URL))
        assert answer.status_code == 303


def test_a_wrong_number_is_refused(live: Live) -> None:
    """An address that no page has is the caller's mistake."""
    assert live.client.get(URL, params={"after": "-1"}).status_code == 422
