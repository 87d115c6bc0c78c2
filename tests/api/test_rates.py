"""One token cannot take a whole server, and reading takes nothing from the workers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import TooManyRequests
from api.rates import Rates
from api.settings import Settings
from tests.api.samples import running

TOKEN = "correct horse"
WORK, PAGE = "/api/v1/leases/x/reports", "/api/v1/studies"


def counting(now: list[float], **limits: Any) -> Rates:
    """Rates on a clock that a test sets."""
    return Rates(Settings(_env_file=None, **limits), lambda: now[0])


def taken(counted: Rates, token: str, path: str, times: int) -> int:
    """How many of so many requests were let in."""
    done = 0
    for _ in range(times):
        try:
            counted.take(token, path)
        except TooManyRequests:
            continue
        done += 1
    return done


def test_a_minute_s_requests_may_come_at_once() -> None:
    """Then each when its share of a minute is over; another token is not kept waiting."""
    now = [5.0]
    counted = counting(now, rate_per_minute=60)
    assert taken(counted, "ada", PAGE, 100) == 60
    with pytest.raises(TooManyRequests, match="SEGTUNE_RATE_PER_MINUTE") as refusal:
        counted.take("ada", PAGE)
    assert refusal.value.seconds == 1
    assert taken(counted, "bob", PAGE, 5) == 5
    now[0] += 2
    assert taken(counted, "ada", PAGE, 9) == 2
    now[0] += 600
    assert taken(counted, "ada", PAGE, 100) == 60


def test_work_has_a_limit_of_its_own() -> None:
    """Who reads too much reports on; none is a limit of 0."""
    counted = counting([0.0], rate_per_minute=2, worker_rate_per_minute=0)
    assert taken(counted, "ada", PAGE, 9) == 2
    assert taken(counted, "ada", WORK, 99) == 99


@given(
    limit=st.integers(1, 500),
    pauses=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=50),
)
def test_no_window_holds_more_than_two_limits(limit: int, pauses: list[float]) -> None:
    """Whatever the rhythm: what waited may come with what is new, and no more."""
    now = [0.0]
    counted = counting(now, rate_per_minute=limit)
    moments = list[float]()
    for pause in pauses:
        now[0] += pause
        moments += [now[0]] * taken(counted, "ada", PAGE, 30)

    for start in moments:
        assert sum(start <= moment < start + 60 for moment in moments) <= 2 * limit


def test_over_http(settings: Settings) -> None:
    """429 as a problem, with the seconds to wait; the server's own token has no limit."""
    given_: dict[str, Any] = {**settings.model_dump(), "token": TOKEN, "rate_per_minute": 3}
    with running(Settings(_env_file=None, **given_)) as client:
        own = {"Authorization": f"Bearer {TOKEN}"}
        body = {"name": "ada", "scopes": ["read"]}
        secret = client.post("/api/v1/tokens", json=body, headers=own).json()["secret"]
        ada = {"Authorization": f"Bearer {secret}"}
        answers = [client.get(PAGE, headers=ada) for _ in range(4)]
        operator = {client.get(PAGE, headers=own).status_code for _ in range(9)}
        health = client.get("/health/live", headers=ada).status_code

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:segtune:too-many-requests"
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert (operator, health) == ({200}, 200)
