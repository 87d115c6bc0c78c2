"""Which GPU a worker sees, what it reads off it, and two workers on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gpu.runs import CONFIG, Run
from tests.training.samples import timeless
from tuner.spec.messages import Device
from tuner.training.data.load import Data
from workers import devices

SEEN = "import torch; print(torch.cuda.device_count())"
TRAINS = """
import json, sys
from pathlib import Path
from tests.gpu.runs import CONFIG, Run
from tests.training.samples import timeless
from tuner.training.data.load import load
folder = Path(sys.argv[1])
run = Run(load(CONFIG.dataset, cache=folder / "cache"), folder / "run", "cuda:0")
print(json.dumps(timeless(run.reports)))
"""


def started(code: str, device: Device, *arguments: str) -> subprocess.Popen[str]:
    """A process with the environment of a trainer on that device."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=devices.environment(os.environ, [device], 2)
        | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    output, _ = process.communicate(timeout=280)
    assert 0 == process.returncode
    return output


def test_nvml_names_the_gpus(device: str) -> None:
    """Name and memory are read without torch."""
    found = devices.gpus()

    assert found
    assert all(gpu.kind == "cuda" and gpu.name and (gpu.memory_gb or 0) > 1 for gpu in found)


@pytest.mark.parametrize(("visible", "count"), [("0", 1), ("", 0), ("17", 0)])
def test_cuda_visible_devices_bounds_what_is_found(device: str, visible: str, count: int) -> None:
    """NVML shows all GPUs of a machine; the worker takes those that CUDA would show."""
    assert count == len(devices.gpus(visible))


def test_a_trainer_sees_its_own_gpu_only(device: str) -> None:
    """Whatever the machine has, the trainer's torch counts one; a CPU's counts none."""
    gpu = devices.gpus()[0]

    assert "1" == answer(started(SEEN, gpu)).strip()
    assert "0" == answer(started(SEEN, devices.cpu())).strip()


def test_an_epoch_reports_memory_and_use(device: str, scenes: Data, tmp_path: Path) -> None:
    """Peak memory in MiB and the share of time in which the GPU was busy."""
    metrics = Run(scenes, tmp_path / "run", device).reports[-1].metrics

    assert 0 < metrics["peak_memory_mb"]
    assert 0 <= metrics["gpu_utilisation"] <= 1


def test_two_workers_share_a_gpu(device: str, scenes: Data, tmp_path: Path) -> None:
    """Two processes train on one device at once, to the numbers that one gets alone."""
    alone = json.loads(json.dumps(timeless(Run(scenes, tmp_path / "alone", device).reports)))
    gpu = devices.gpus()[0]
    both = [started(TRAINS, gpu, str(tmp_path / name)) for name in ("a", "b")]

    assert [alone, alone] == [json.loads(answer(process)) for process in both]
    assert CONFIG.training.determinism == "exact"
