"""`python -m benchmarks.chaos` notices what it looks for: each check, on what it must find."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from api.settings import Settings
from benchmarks.chaos import faults, verify
from benchmarks.chaos.proxy import Link, Mode, Proxy
from benchmarks.chaos.study import NAME, Series
from tests.api.samples import serving, study, train
from tuner.client import Client
from tuner.spec.config import TrialConfig
from tuner.store.engine import Database

TRIALS = 2


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    """A server without upkeep."""
    return Settings(
        _env_file=None, home=tmp_path, database_url=sqlite_url, upkeep_seconds=3600, port=0
    )


def record_of(settings: Settings, *changes: str) -> verify.Record:
    """What a server says of a study that was trained, with these changes made behind its back."""
    with serving(settings) as live:
        search = {"sampler": "random", "pruner": "none", "trials": TRIALS}
        live.client.post("/api/v1/studies", json=study(NAME, search=search)).raise_for_status()
        for _ in range(TRIALS):
            train(live.client)
        db = Database(settings.database_url)
        with db.transaction() as session:
            for change in changes:
                session.execute(text(change))
        db.dispose()
        with Client(str(live.client.base_url)) as client:
            return verify.Record(client)


@pytest.fixture(autouse=True)
def _trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training the same gives what `train` reports."""

    def again(configs: list[TrialConfig]) -> list[Series]:
        metrics = {"miou": 0.5, "train_loss": 1.0}
        return [dict.fromkeys(range(1, 4), metrics) for _ in configs]

    monkeypatch.setattr(verify, "undisturbed", again)


FAULTS: dict[str, tuple[str, ...]] = {
    "no trial lost": ("UPDATE trials SET state = 'failed' WHERE number = 1",),
    "no trial doubled": ("UPDATE trials SET params = '{}'",),
    "every series gap-free and without doubles": ("DELETE FROM reports WHERE step = 2",),
    "every final metric that of the same training undisturbed": (
        """UPDATE reports SET metrics = '{"miou": 0.51, "train_loss": 1.0}' WHERE step = 3""",
    ),
    "no leaked lease": ("UPDATE attempts SET ended_at = NULL",),
}


def test_nothing_is_wrong_with_a_whole_study(settings: Settings) -> None:
    """Each check is there, and finds nothing."""
    assert verify.whole(record_of(settings)) == {name: [] for name in FAULTS}


@pytest.mark.parametrize("check", FAULTS)
def test_what_is_wrong_is_found(settings: Settings, check: str) -> None:
    """By the check whose name says so."""
    assert verify.whole(record_of(settings, *FAULTS[check]))[check]


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """The port of a server that gives this answer to whatever each connection says first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    if connection.recv(100):
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def link_to(answer: bytes) -> Iterator[tuple[Proxy, Link]]:
    """A link to a server with this answer."""
    with answering(answer) as port:
        proxy = Proxy(port, ("w1",))
        try:
            yield proxy, proxy.links["w1"]
        finally:
            proxy.close()


def asked(link: Link) -> bytes:
    """What comes back over the link. Raises OSError."""
    with socket.create_connection(("127.0.0.1", link.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(1000), b""))


def test_an_open_link_passes_all_and_notes_failures() -> None:
    """An answer of 500 or more is kept, with what it says."""
    with link_to(b"HTTP/1.1 500 Oh\r\n\r\nincident") as (proxy, link):
        assert asked(link) == b"HTTP/1.1 500 Oh\r\n\r\nincident"
        ((_, status, said),) = proxy.failures
    assert (status, said.endswith("incident")) == (500, True)


@pytest.mark.parametrize("mode", [Mode.REFUSED, Mode.DEAF])
def test_a_broken_link_resets(mode: Mode) -> None:
    """The caller learns of it as of a crash, and not by an answer."""
    with link_to(b"HTTP/1.1 200 OK\r\n\r\n") as (_, link):
        link.mode = mode
        with pytest.raises(ConnectionError):
            asked(link)
        link.mode = Mode.OPEN
        assert asked(link)


def test_every_kind_comes_before_any_comes_often() -> None:
    """So that a short run has them all, whatever its seed."""
    found = faults.kinds("sqlite:///x.db")
    deck = faults._deck(found, Random(3))
    first: list[Any] = [next(deck) for _ in found]
    assert {kind.name for kind in first} == {kind.name for kind in found}
