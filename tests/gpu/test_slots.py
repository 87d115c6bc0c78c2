"""Several trials at once on one GPU, as a worker with slots packs them."""

import os
import sys
from pathlib import Path

import pytest
import torch

from tests.gpu.runs import config
from tests.workers.fake_server import FakeServer, assignment, order, serve
from tuner.spec.messages import OutcomeKind
from tuner.training import memory
from tuner.training.determinism import DeviceContext
from workers import devices, needs
from workers.agent import run
from workers.memory_pools import pools
from workers.settings import WorkerSettings

LONG = config({"training.epochs": 600})  # until it is told to stop
MIB = 2**20


def test_more_is_held_than_tensors_take(device: str) -> None:
    """What torch has reserved, and CUDA's own part; no more than the device has in use."""
    kept = torch.zeros(64 * MIB, dtype=torch.uint8, device=device)
    held = memory.held_mb(DeviceContext(device=device))
    assert held is not None
    assert held > torch.cuda.max_memory_reserved() / MIB >= kept.nbytes / MIB


def test_the_driver_says_what_is_left(device: str) -> None:
    """The GPU's pool and the host's; what a tensor takes is not free any more."""
    gpu = devices.gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))[0]
    before = pools(gpu)
    kept = torch.zeros(2048 * MIB, dtype=torch.uint8, device=device)
    after = pools(gpu)
    assert before.keys() == after.keys() == {"device", "host"}
    assert after["device"].free < before["device"].free <= before["device"].total
    del kept


@pytest.mark.timeout(400)
def test_two_trials_share_a_gpu(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes once the first was measured, and what they need is remembered."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    fake = FakeServer()
    http = serve(fake)
    fake.waiting += [
        assignment(lease, trial=trial, config=LONG, lease_seconds=1)
        for lease, trial in (("a", 0), ("b", 1))
    ]

    def stop_both(server: FakeServer, name: str) -> None:
        if name == "POST leases/b/reports":
            server.heartbeat = order("stop")

    fake.on_request = stop_both
    settings = WorkerSettings(
        server=fake.address, home=tmp_path, device="cuda:0", worker_name="w", slots="auto"
    )
    try:
        assert run(settings, max_trials=2) == 0
    finally:
        http.shutdown()
        http.server_close()

    asked = fake.requests.index
    assert asked("POST leases/a/reports") < asked("POST leases/b/reports")
    assert asked("POST leases/b/reports") < asked("POST leases/a/finish")
    assert [outcome.kind for _, outcome in fake.finished] == [OutcomeKind.STOPPED] * 2
    gpu = devices.gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))[0]
    known = needs.recall(settings.cache_folder, LONG, gpu)
    assert known is not None
    assert 100 < known["device"] < 20_000
    assert known["host"] > 100
