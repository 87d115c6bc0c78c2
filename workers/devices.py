"""What this machine can train on, found without torch, and what a trainer may see of it."""

import os
import platform
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

import tuner
from tuner.configs import packages
from tuner.errors import InvalidInput, Problem
from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Capabilities, Device

_PACKAGES = ("torch", "torchvision", "timm")
_GIB = 1 << 30


def gpus(visible: str | None = None) -> tuple[Device, ...]:
    """The CUDA devices of this machine in CUDA_VISIBLE_DEVICES' order; none without a driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, no permission: all mean that there is no GPU to use
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        found = {
            _text(pynvml.nvmlDeviceGetUUID(handle)): Device(
                kind=DeviceKind.CUDA,
                index=index,
                name=_text(pynvml.nvmlDeviceGetName(handle)),
                memory_gb=round(pynvml.nvmlDeviceGetMemoryInfo(handle).total / _GIB, 1),
            )
            for index, handle in enumerate(handles)
        }
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()
    return select(found, visible)


def select(found: Mapping[str, Device], visible: str | None) -> tuple[Device, ...]:
    """The devices, given by UUID, that CUDA_VISIBLE_DEVICES lets through, in its order."""
    if visible is None:
        return tuple(found.values())
    chosen: list[Device] = []
    for part in (part.strip() for part in visible.split(",")):
        match = [
            device
            for uuid, device in found.items()
            if part and (part == str(device.index) or uuid.startswith(part))
        ]
        if not match:
            break  # CUDA, too, ignores everything after the first name that it does not know
        chosen.append(match[0])
    return tuple(chosen)


def choose(wanted: str, found: Sequence[Device], *, is_free: Callable[[Device], bool]) -> Device:
    """The device for `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.

    `auto` takes the first GPU that no worker of this machine has, then the first GPU, then Apple's
    GPU, then the CPU. N counts the visible GPUs.

    Raises:
        InvalidInput: the machine has no such GPU.
    """
    if wanted == "cpu":
        return cpu()
    if wanted == "mps" or (wanted == "auto" and not found and _is_apple()):
        return Device(kind=DeviceKind.MPS, name=platform.processor())
    if wanted == "auto" and not found:
        return cpu()
    if wanted in {"auto", "cuda"} and found:
        return next((device for device in found if is_free(device)), found[0])
    number = int(wanted.partition(":")[2] or 0)
    if number >= len(found):
        names = ", ".join(f"cuda:{i} ({d.name})" for i, d in enumerate(found)) or "none"
        message = f"this machine has no {wanted}; GPUs here: {names}; or use cpu"
        raise InvalidInput([Problem(("device",), message)])
    return found[number]


def several(
    wanted: str, count: int, free: Sequence[Device], found: Sequence[Device]
) -> list[Device]:
    """So many devices for one worker: of the free GPUs, or from `cuda:N` on; or the CPU, shared.

    Only who says `cpu` gets the CPU: a machine whose driver is gone would take the trials of many
    GPUs, and never end them.

    Raises:
        InvalidInput: there are fewer.
    """
    if wanted == "cpu":
        return [cpu()] * count
    first = int(wanted.partition(":")[2] or 0)
    able = [device for device in found[first:] if device in free]
    if len(able) < count:
        names = ", ".join(device.name for device in able) or "none"
        message = (
            f"{count} GPUs are wanted, and {len(found)} of this machine can be seen, of which free "
            f"for {wanted}: {names}; ask for fewer, end other workers, or use device cpu"
        )
        raise InvalidInput([Problem(("gpus",), message)])
    return able[:count]


def cpu() -> Device:
    """The processor as a device."""
    import psutil  # a fleet, which asks for the host's name alone, does without

    memory = round(psutil.virtual_memory().total / _GIB, 1)
    return Device(kind=DeviceKind.CPU, name=platform.machine(), memory_gb=memory)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(device: Device, found: Sequence[Device]) -> int:
    """A worker's share of the cores: all of them, or those per GPU."""
    return cores() if device.kind != DeviceKind.CUDA else max(1, cores() // max(1, len(found)))


def capabilities(
    device: Device, labels: Mapping[str, str], cpus: int, gpus: int = 1
) -> Capabilities:
    """What the worker tells the server about itself."""
    versions = {"segtune": tuner.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return Capabilities(
        hostname=hostname(),
        device=device,
        cpus=cpus,
        gpus=gpus,
        labels=dict(labels),
        versions=versions,
        plugins=dict(packages.usable()),
    )


def hostname() -> str:
    """The machine's name, without characters that a worker's name may not have."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")[:60] or "worker"


def environment(base: Mapping[str, str], own: Sequence[Device], cpus: int) -> dict[str, str]:
    """The trainer's environment: its devices, its share of threads, unbuffered output."""
    indices = [str(device.index) for device in own if device.kind == DeviceKind.CUDA]
    env = {
        **base,
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(cpus),
        "MKL_NUM_THREADS": str(cpus),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # NVML's order, which `gpus` counts by
        "CUDA_VISIBLE_DEVICES": ",".join(indices),
    }
    if len(own) > 1:
        env.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns of what is meant to be so
    env.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read once, when CUDA starts
    env.pop("SEGTUNE_TOKEN", None)  # third-party components in the trainer have no use for it
    return env


def torch_name(device: Device) -> str:
    """The device as the trainer's torch calls it: a GPU is the only or first one that it sees."""
    return "cuda:0" if device.kind == DeviceKind.CUDA else device.kind


def _is_apple() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
