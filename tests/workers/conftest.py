"""A scripted server and an agent with a scripted trainer."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workers.fake_server import FakeServer, serve
from workers.agent import run
from workers.limits import Backoff, Limits
from workers.settings import WorkerSettings

TRAINER = Path(__file__).with_name("fake_trainer.py")
BRIEF = Backoff(first=0.01, limit=0.05)
QUICK = Limits(tick=0.02, shutdown_grace=0.2, backoff=BRIEF, crashes=BRIEF)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that runs on loopback."""
    fake = FakeServer()
    http = serve(fake)
    yield fake
    http.shutdown()
    http.server_close()


@pytest.fixture
def settings(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkerSettings:
    """Settings of a CPU worker of that server, untouched by the machine's own."""
    monkeypatch.chdir(tmp_path)
    return WorkerSettings(
        server=server.address, home=tmp_path / "home", device="cpu", worker_name="w1"
    )


@pytest.fixture
def work(settings: WorkerSettings) -> Callable[..., int]:
    """Run the agent over a number of trials with a plan for its trainer."""

    def run_agent(
        plan: str,
        *,
        trials: int = 1,
        limits: Limits = QUICK,
        stop: threading.Event | None = None,
    ) -> int:
        command = [sys.executable, "-SE", str(TRAINER), plan]
        return run(settings, max_trials=trials, command=command, limits=limits, stop=stop)

    return run_agent
