"""A fleet on a Ray cluster of several nodes, of which one dies under its worker."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from tests.end_to_end.cluster import assert_whole, cluster, reported, street_study
from tests.house.tree import ROOT
from tuner.spec.states import StudyState
from workers.fleet import contract, loop
from workers.fleet.settings import FleetSettings
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without a place for a worker, and whatever nodes a test adds."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20}
    built = Cluster(initialize_head=True, head_node_args=head)
    monkeypatch.setenv("RAY_ADDRESS", built.address)
    yield built
    ray.shutdown()
    built.shutdown()


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_node_dies_and_its_trial_goes_on_elsewhere(
    nodes: Any, tmp_path: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The fleet refills on another node, the trial is resumed there, and then none is left."""
    document = street_study("lost", trials=1)
    document["base"]["training"] = {"epochs": 14, "batch_size": 8}
    place = {"num_cpus": 1, "object_store_memory": 80 << 20}
    node = nodes.add_node(**place)
    with cluster(tmp_path, sqlite_url, SEGTUNE_LEASE_SECONDS="4") as town:
        settings = FleetSettings(driver="ray", name="ray", gpus=0, max=1, cooldown=0, interval=0.2)
        worker = WorkerSettings(
            server=town.environment["SEGTUNE_SERVER"],
            home=tmp_path / "home",
            device="cpu",
            poll_seconds=1,
            checkpoint_seconds=0,
            threads=1,
        )
        fleet = loop.fleet_of(contract.load(settings, worker), settings, worker)
        town.client.submit(document)
        stop = threading.Event()
        running = threading.Thread(target=fleet.run, args=(stop,))
        with caplog.at_level(logging.INFO):
            running.start()
            try:
                town.until("lost", reported(2))
                logger.info("the node dies")
                nodes.remove_node(node, allow_graceful=False)
                nodes.add_node(**place)
                study = town.client.wait("lost", timeout=180)
                _wait(lambda: not fleet.driver.list())
            finally:
                stop.set()
                running.join(30)
        assert study.state is StudyState.FINISHED
        assert_whole(town.client, "lost")
        attempts = town.client.trial("lost", 0).attempt_history
        assert [each.outcome for each in attempts] == ["lost", "completed"]
        assert min(s.step for s in town.client.steps("lost", 0) if s.attempt == 2) >= 3
        starts = [each.message for each in caplog.records if each.message.startswith("start ")]
        assert len(starts) == 2


def _wait(until: Callable[[], bool]) -> None:
    tick = threading.Event()
    while not until():
        tick.wait(0.2)
