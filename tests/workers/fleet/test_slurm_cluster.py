"""A fleet on a Slurm cluster of one node, with a real server and real workers."""

import logging
import threading
from pathlib import Path

import pytest

from tests.end_to_end.cluster import assert_whole, cluster, street_study
from tests.house.tree import ROOT
from tuner.spec.states import StudyState
from workers.fleet import contract, loop
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("slurm")
def test_jobs_come_with_the_work_and_go_with_it(
    tmp_path: Path,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From none to two to none, by two processes of the fleet; no worker has to be killed."""
    document = street_study("short", trials=2)
    document["base"]["training"] = {"epochs": 1, "batch_size": 8}
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("SEGTUNE_POLL_SECONDS", "SEGTUNE_THREADS"):
        monkeypatch.setenv(name, "1")
    with cluster(tmp_path, sqlite_url) as town, caplog.at_level(logging.INFO):

        def fleet() -> loop.Fleet:
            settings = FleetSettings(
                driver="slurm", name="s", gpus=0, max=8, cooldown=2, interval=0.3
            )
            worker = WorkerSettings(
                server=town.environment["SEGTUNE_SERVER"], home=tmp_path / "home"
            )
            return loop.fleet_of(contract.load(settings, worker), settings, worker)

        first, other = fleet(), fleet()
        assert first.driver.list() == ()
        town.client.submit(document)
        plan = first.look()
        loop.log(plan)
        first.act(plan)
        assert [each.name for each in other.driver.list()] == ["s-1", "s-2"]

        stop = threading.Event()
        running = threading.Thread(target=other.run, args=(stop,))
        running.start()
        try:
            assert town.client.wait("short", timeout=200).state is StudyState.FINISHED
            tick = threading.Event()
            while first.driver.list():
                tick.wait(0.2)
        finally:
            stop.set()
            running.join(30)
        assert_whole(town.client, "short")
        starts = [each.message for each in caplog.records if each.message.startswith("start ")]
        assert [line.partition(" (")[0] for line in starts] == ["start s-1, s-2"]
        attempts = [
            attempt
            for number in range(2)
            for attempt in town.client.trial("short", number).attempt_history
        ]
        assert [attempt.outcome for attempt in attempts] == ["completed", "completed"]
        for name in {attempt.worker for attempt in attempts}:  # one may be ended while it starts
            log = (tmp_path / "home" / "fleet" / "s" / f"{name}.log").read_text()
            assert f"worker {name} ends" in log
