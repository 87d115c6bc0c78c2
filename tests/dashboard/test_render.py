"""How pages are sent: compressed where the browser takes it so, whole where it does not."""

import gzip

import pytest
from fastapi.testclient import TestClient

from api.dashboard.render import takes_gzip
from tests.dashboard.scenes import Scene
from tuner.store.engine import Database

ADDRESSES = ("/studies/1", "/partials/studies/1", "/partials/studies/1/charts/history", "/workers")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_long_answer_is_compressed(client: TestClient, db: Database, address: str) -> None:
    """Its length is that of what is sent, and a cache tells the two apart."""
    Scene.played(db, 12)

    with client.stream("GET", address, headers={"accept-encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    plain = client.get(address, headers={"accept-encoding": "identity"})

    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) == len(sent) < len(plain.content)
    assert len(gzip.decompress(sent)) == pytest.approx(len(plain.content), rel=0.01)
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in plain.headers


def test_a_short_answer_stays(client: TestClient, db: Database) -> None:
    """Compressing it would gain nothing."""
    Scene.submit(db)

    answer = client.get("/partials/studies/1/charts/survival")

    assert len(answer.content) < 1_000
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("deflate, gzip; q=0.0", False),
        ("identity", False),
        ("x-gzip-like", False),
        ("", False),
    ],
)
def test_which_browsers_take_it(accepted: str, *, takes: bool) -> None:
    """A weight of nought says no."""
    assert takes_gzip(accepted) is takes
