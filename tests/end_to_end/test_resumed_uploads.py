"""A worker whose connection breaks sends the rest of a file, over a real server."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from api.settings import Settings
from tests.api.samples import Live, serving, study
from tuner.service import uploads
from tuner.spec.messages import ArtifactRef, Assignment, LeaseRequest
from workers import resuming
from workers.client import ServerClient
from workers.limits import Backoff

DATA = hashlib.shake_256(b"a checkpoint").digest(2 * 2**20)
CUT = 1_200_000  # bytes of the first upload that get through
_UNREAD = 400_000  # of them at most those that a server drops with the connection: its buffers
_SAID = 16_384  # bytes of all that is not the file


class Cutting:
    """A way to a server that is cut, both ways, once so many bytes have gone there."""

    def __init__(self, most: int) -> None:
        self.most, self.sent = most, 0
        self.upstream = ("127.0.0.1", 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def lead_to(self, live: Live) -> None:
        """Lead to that server from now on."""
        self.upstream = ("127.0.0.1", live.client.base_url.port or 80)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(self.upstream) as far:
            back = threading.Thread(target=_pass_on, args=(far, near), daemon=True)
            back.start()
            while data := near.recv(65536):
                self.sent += len(data)
                far.sendall(data)
                if self.sent > self.most:
                    self.most = 2**62
                    break
            for end in (near, far):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a server to which a file of a MiB is a large one, as to its workers."""
    for module in (uploads, resuming):
        monkeypatch.setattr(module, "RESUMABLE", 2**20)
    return Settings(
        _env_file=None, home=tmp_path, database_url=sqlite_url, upkeep_seconds=3600, port=0
    )


@pytest.fixture
def line() -> Iterator[Cutting]:
    """A line that breaks in the middle of the file."""
    line = Cutting(CUT)
    yield line
    line.close()


def take(live: Live, client: ServerClient) -> Assignment:
    """A trial of a study that is there."""
    live.client.post("/api/v1/studies", json=study()).raise_for_status()
    assignment = client.lease(LeaseRequest(worker="w1"))
    assert assignment is not None
    return assignment


def checkpoint(tmp_path: Path) -> Path:
    """The file to be sent."""
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(DATA)
    return path


def stored(live: Live, reference: ArtifactRef) -> bytes:
    """The bytes that came to lie on the server."""
    return live.client.get(f"/api/v1/artifacts/{reference.id}").content


def test_only_the_rest_travels(settings: Settings, line: Cutting, tmp_path: Path) -> None:
    """The connection is cut in the middle: what had come is not sent again."""
    client, path = ServerClient(line.url, backoff=Backoff(first=0.02)), checkpoint(tmp_path)
    with serving(settings) as live:
        line.lead_to(live)
        held = take(live, client)
        reference = client.patiently(
            lambda: client.upload(held.lease, held.token, path, kind="checkpoint", step=1),
            give_up=lambda seconds: threading.Event().wait(seconds),
        )
        client.close()
        assert stored(live, reference) == DATA
    assert len(DATA) < line.sent < len(DATA) + _UNREAD + _SAID


def test_a_server_that_starts_again(settings: Settings, line: Cutting, tmp_path: Path) -> None:
    """It goes on with what came to the one before it; the worker waits meanwhile."""
    client, path = ServerClient(line.url, backoff=Backoff(first=0.02)), checkpoint(tmp_path)
    with serving(settings) as live:
        line.lead_to(live)
        held = take(live, client)
        with pytest.raises(Exception, match="does not answer"):
            client.upload(held.lease, held.token, path, kind="checkpoint", step=1)
    with serving(settings) as live:
        line.lead_to(live)
        reference = client.upload(held.lease, held.token, path, kind="checkpoint", step=1)
        client.close()
        assert stored(live, reference) == DATA
    assert len(DATA) < line.sent < len(DATA) + _UNREAD + _SAID
