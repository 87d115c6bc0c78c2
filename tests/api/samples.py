"""What API tests send, and a server that they talk to over loopback."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.testclient import TestClient

from api.app import create_app
from api.serve import Server, listen
from api.settings import Settings
from tests.samples import DATASET

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}


def study(name: str = "street", **changes: Any) -> dict[str, Any]:
    """A small study over three epochs, as JSON."""
    return {
        "name": name,
        "dataset": {**DATASET},
        "base": {"training": {"epochs": 3}},
        "space": {"optimizer.lr": {"float": [1e-3, 1e-1], "log": True}},
        "search": {"sampler": "random", "pruner": "none", "trials": 4, "parallel": 2},
        **changes,
    }


def report(step: int, miou: float = 0.5) -> dict[str, Any]:
    """A batch of one report."""
    return {"reports": [{"step": step, "metrics": {"miou": miou, "train_loss": 1.0}}]}


def lease_token(assignment: dict[str, Any]) -> dict[str, str]:
    """The header that goes with an assignment."""
    return {"Lease-Token": assignment["token"]}


def train(client: TestClient | httpx.Client, *, worker: str = "w1", miou: float = 0.5) -> int:
    """Take a trial and complete it; give its number."""
    found = client.post("/api/v1/leases", json={"worker": worker})
    assert found.status_code == 200, found.text
    assignment = found.json()
    url, headers = f"/api/v1/leases/{assignment['lease']}", lease_token(assignment)
    for step in range(1, 4):
        answer = client.post(f"{url}/reports", json=report(step, miou), headers=headers)
        assert answer.status_code == 200, answer.text
    end = client.post(f"{url}/finish", json={"kind": "completed", "step": 3}, headers=headers)
    assert end.status_code == 204, end.text
    return int(assignment["trial"])


@contextmanager
def running(settings: Settings) -> Iterator[TestClient]:
    """A client of an application in this process."""
    app = create_app(settings)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=True) as client:
        yield client


@dataclass(frozen=True)
class Live:
    """A real server in a thread, and a client of it."""

    client: httpx.Client
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        """Shut the server down as a signal would."""
        self.server.should_exit = True
        self.thread.join(timeout=30)


@contextmanager
def serving(settings: Settings) -> Iterator[Live]:
    """A real server on a free port of loopback."""
    urls: queue.Queue[str] = queue.Queue()
    with listen(settings) as listener:
        server = Server(settings, listener, ready=urls.put)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        with httpx.Client(base_url=urls.get(timeout=30), timeout=30) as client:
            live = Live(client, server, thread)
            try:
                yield live
            finally:
                live.stop()
