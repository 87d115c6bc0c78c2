"""What memory a device and its machine have left, other processes' use included."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Device
from workers.packing import Pool

_MIB = 1 << 20
_CGROUP = Path("/sys/fs/cgroup")


def pools(device: Device, *, cgroup: Path = _CGROUP) -> Mapping[str, Pool]:
    """The machine's memory and, of a GPU, its own; nothing where a driver does not say it."""
    try:
        found = {"host": _host(cgroup)}
        return found | {"device": _gpu(device)} if device.kind == DeviceKind.CUDA else found
    except Exception:  # a driver that is gone: nothing is known, and nothing more is taken
        return {}


def _host(cgroup: Path) -> Pool:
    """Of the machine, or of the container that this process is in, whichever has less."""
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    with suppress(OSError, ValueError):  # no container, or one without a limit
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text()) - _reclaimable(cgroup)
        total, free = min(total, limit), min(free, limit - used)
    return Pool(total / _MIB, max(0, free) / _MIB)


def _reclaimable(cgroup: Path) -> int:
    """Bytes of files that were read, which the system drops when it needs them."""
    lines = (line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    return next((int(value) for name, value in lines if name == "inactive_file"), 0)


def _gpu(device: Device) -> Pool:
    import pynvml

    pynvml.nvmlInit()
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(device.index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return Pool(memory.total / _MIB, memory.free / _MIB)
    finally:
        pynvml.nvmlShutdown()
