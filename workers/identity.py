"""A worker's name and device, held by no other living worker of a machine."""

import os
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Device
from workers.devices import choose, gpus, hostname, several
from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Identity:
    """A worker's name, the devices that it trains on, and the locks that keep all its own.

    `gpus` are all that can be seen, of other workers too.
    """

    name: str
    devices: tuple[Device, ...]
    gpus: tuple[Device, ...]
    locks: tuple[FileLock, ...]

    @property
    def device(self) -> Device:
        """The first of its devices, with the memory that every one has."""
        memory = [device.memory_gb for device in self.devices if device.memory_gb is not None]
        least = min(memory, default=None)
        return self.devices[0].model_copy(update={"memory_gb": least})

    def release(self) -> None:
        """Let another worker have all of it."""
        for lock in self.locks:
            lock.release()


def acquire(settings: WorkerSettings) -> Identity:
    """Choose the device and take a name: `host-cuda0`, or `host-cuda0-2` when that one lives.

    The names of a machine are stable over restarts, so that the list of workers stays short.
    """
    folder = settings.home / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    found = gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
    # One after another: two that look at the same time would find the same GPUs free.
    with FileLock(folder / f"{hostname()}-choosing.lock"):
        if settings.gpus > 1:
            free = [gpu for gpu in found if _is_free(folder, gpu)]
            devices = several(settings.device, settings.gpus, free, found)
        else:
            devices = [choose(settings.device, found, is_free=lambda gpu: _is_free(folder, gpu))]
        device, *others = devices
        number, lock = _first_free(folder, device)
        locks = [lock, *(_take(folder, gpu, 1) for gpu in others if gpu.kind == DeviceKind.CUDA)]
    base = f"{hostname()}-{_label(device)}"
    name = settings.worker_name or (base if number == 1 else f"{base}-{number}")
    return Identity(name, tuple(devices), found, tuple(locks))


def _is_free(folder: Path, device: Device) -> bool:
    try:
        lock = _take(folder, device, 1)
    except Timeout:
        return False
    lock.release()
    return True


def _first_free(folder: Path, device: Device) -> tuple[int, FileLock]:
    number = 1
    while True:
        try:
            return number, _take(folder, device, number)
        except Timeout:
            number += 1


def _take(folder: Path, device: Device, number: int) -> FileLock:
    lock = FileLock(folder / f"{hostname()}-{_label(device)}-{number}.lock", thread_local=False)
    lock.acquire(timeout=0)
    return lock


def _label(device: Device) -> str:
    return f"cuda{device.index}" if device.kind == DeviceKind.CUDA else device.kind
