"""What memory a machine has left, and what is remembered of the trials that took it."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.workers.fake_server import CONFIG
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Device
from workers import devices, needs
from workers.memory_pools import pools

MIB = 1 << 20
GPU = Device(kind="cuda", index=1, name="H100", memory_gb=80)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(total=1000 * MIB, available=600 * MIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def container(folder: Path, **files: str) -> Path:
    """A folder as the kernel shows a container's limits."""
    for name, text in files.items():
        (folder / f"memory.{name}").write_text(text)
    return folder


def nvml(**missing: Any) -> SimpleNamespace:
    """NVIDIA's library, which knows two GPUs."""
    sizes = [
        SimpleNamespace(total=10 * MIB, free=MIB),
        SimpleNamespace(total=80 * MIB, free=7 * MIB),
    ]
    return SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: sizes[handle],
        **missing,
    )


def test_a_cpu_has_the_machines_memory(tmp_path: Path) -> None:
    """What there is, and what nobody has taken."""
    found = pools(devices.cpu(), cgroup=tmp_path)
    assert {name: (pool.total, pool.free) for name, pool in found.items()} == {"host": (1000, 600)}


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    """Files that were read are no use to anybody, and are dropped when memory is short."""
    stat = f"anon 1\ninactive_file {100 * MIB}\nactive_file 5"
    limits = {"max": str(400 * MIB), "current": str(250 * MIB), "stat": stat}
    host = pools(devices.cpu(), cgroup=container(tmp_path, **limits))["host"]
    assert (host.total, host.free) == (400, 250)


@pytest.mark.parametrize("limits", [{"max": "max"}, {"max": "12", "current": ""}, {"max": "12"}])
def test_a_container_without_a_limit_has_the_machines(
    tmp_path: Path, limits: dict[str, str]
) -> None:
    """So has one whose files say less than they should."""
    host = pools(devices.cpu(), cgroup=container(tmp_path, **limits))["host"]
    assert (host.total, host.free) == (1000, 600)


def test_a_gpu_has_memory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver says what is free, whoever took the rest; the host's counts too."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    found = pools(GPU, cgroup=tmp_path)
    assert {name: (pool.total, pool.free) for name, pool in found.items()} == {
        "device": (80, 7),
        "host": (1000, 600),
    }


def test_without_a_driver_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that cannot be asked is no reason to end, and none to take more."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert pools(GPU, cgroup=tmp_path) == {}


def changed(section: str, **values: Any) -> TrialConfig:
    """The trial's config with something else in a section."""
    part = getattr(CONFIG, section).model_copy(update=values)
    return CONFIG.model_copy(update={section: part})


def test_the_most_is_remembered_for_trials_of_the_kind(tmp_path: Path) -> None:
    """In whole MiB, pool by pool; a trial that needed less changes nothing."""
    assert needs.recall(tmp_path, CONFIG, GPU) is None
    needs.remember(tmp_path, CONFIG, GPU, {"device": 900.4, "host": 50})
    needs.remember(tmp_path, CONFIG, GPU, {"device": 800, "host": 60})
    assert needs.recall(tmp_path, CONFIG, GPU) == {"device": 900, "host": 60}
    assert needs.recall(tmp_path, changed("optimizer", lr=0.5), GPU) == {"device": 900, "host": 60}
    assert needs.recall(tmp_path, changed("training", epochs=3), GPU) is not None


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("model", {"encoder": "resnet18"}),
        ("model", {"norm": "group"}),
        ("dataset", {"size": (64, 64)}),
        ("training", {"batch_size": 2}),
        ("training", {"micro_batch": 1}),
        ("training", {"determinism": "fast"}),
        ("optimizer", {"name": "adamw"}),
        ("loss", {"name": "dice"}),
    ],
)
def test_other_networks_sizes_and_batches_are_others(
    tmp_path: Path, section: str, values: dict[str, Any]
) -> None:
    """What was measured of one says nothing of the other, nor of another device."""
    needs.remember(tmp_path, CONFIG, GPU, {"device": 900, "host": 7})
    assert needs.recall(tmp_path, changed(section, **values), GPU) is None
    assert needs.recall(tmp_path, CONFIG, GPU.model_copy(update={"name": "A100"})) is None


def test_a_need_of_one_memory_alone_is_none(tmp_path: Path) -> None:
    """On a GPU both count; a CPU has one."""
    needs.remember(tmp_path, CONFIG, GPU, {"host": 900})
    assert needs.recall(tmp_path, CONFIG, GPU) is None
    needs.remember(tmp_path, CONFIG, devices.cpu(), {"host": 900})
    assert needs.recall(tmp_path, CONFIG, devices.cpu()) == {"host": 900}


@pytest.mark.parametrize(
    "damaged", ["{", "[]", '{"KEY": 7}', '{"KEY": {"device": 9, "host": "many"}}']
)
def test_a_damaged_note_is_none(tmp_path: Path, damaged: str) -> None:
    """Its trial is measured again."""
    needs.remember(tmp_path, CONFIG, GPU, {"device": 900, "host": 7})
    (note,) = tmp_path.glob("*.json")
    key = note.read_text().split('"')[1]
    note.write_text(damaged.replace("KEY", key))
    assert needs.recall(tmp_path, CONFIG, GPU) is None
