"""A worker that is drained, from the button to its log: a real server, a real agent."""

import logging
import sys
import threading
from pathlib import Path

import httpx
import pytest

from api.settings import Settings
from tests.api.samples import serving, study
from tests.workers.conftest import QUICK, TRAINER
from workers.agent import run
from workers.settings import WorkerSettings

PLAN = "print=trained report=1 report=2 report=3 finish=completed"


class Fleet:
    """The worker w1 of a server, which shows what there is to see of it."""

    def __init__(self, client: httpx.Client, home: Path) -> None:
        self.client = client
        self._settings = WorkerSettings(
            server=str(client.base_url), home=home, device="cpu", worker_name="w1", poll_seconds=1
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        command = [sys.executable, "-SE", str(TRAINER), PLAN]
        run(self._settings, command=command, limits=QUICK, stop=self._stop)

    def close(self) -> None:
        """Let the worker end."""
        self._stop.set()
        self._thread.join(timeout=30)

    def wait_for(self, **wanted: object) -> None:
        """Ask until the worker is shown so."""
        while (found := self.shown()) is None or not wanted.items() <= found.items():
            assert self._thread.is_alive()

    def shown(self) -> dict[str, object] | None:
        """The worker as the list has it."""
        found = self.client.get("/api/v1/workers").json()
        return next((each for each in found if each["name"] == "w1"), None)


def test_a_drained_worker_rests_until_it_is_let_go_on(
    tmp_path: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes nothing of a study that comes, says why, and trains it once it is undrained; what
    it has put out is with the trial.
    """
    caplog.set_level(logging.INFO)
    settings = Settings(_env_file=None, home=tmp_path, database_url=sqlite_url, port=0)
    with serving(settings) as live:
        fleet = Fleet(live.client, tmp_path / "worker")
        try:
            fleet.wait_for(state="idle")
            assert live.client.post("/api/v1/workers/w1/drain").json()["state"] == "drained"
            live.client.post("/api/v1/studies", json=study(resources={"gpus": 0}))
            while "this worker is drained" not in caplog.text:
                fleet.wait_for(state="drained", trials_done=0)
            (entry,) = live.client.get("/api/v1/queue").json()["entries"]
            assert "w1: it is drained" in entry["reason"]
            live.client.post("/api/v1/workers/w1/undrain")
            fleet.wait_for(trials_done=4)
            log = live.client.get("/api/v1/studies/street/trials/0/log").json()
        finally:
            fleet.close()
    assert log["text"] == "trained\n"
    assert "is not drained any more" in caplog.text
