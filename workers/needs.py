"""What trials have needed of a machine's memory: measured once, and remembered for their like."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from tuner import notes
from tuner.spec.config import TrialConfig
from tuner.spec.kinds import DeviceKind
from tuner.spec.messages import Device
from workers.packing import Amounts, largest

_FILE = "trial-memory.json"


def recall(folder: Path, config: TrialConfig, device: Device) -> Amounts | None:
    """The most that a trial like this one has needed on a device like this one."""
    found = notes.recall(folder, _FILE, _key(config, device))
    if not isinstance(found, Mapping):
        return None
    amounts = {name: value for name, value in found.items() if isinstance(value, int | float)}
    is_whole = "host" in amounts and ("device" in amounts or device.kind != DeviceKind.CUDA)
    return amounts if is_whole else None


def remember(folder: Path, config: TrialConfig, device: Device, need: Amounts) -> None:
    """Keep what was measured, if it is more than was known. Raises OSError."""
    known = recall(folder, config, device) or {}
    most = {name: round(value) for name, value in largest([known, need]).items()}
    if most != known:
        notes.keep(folder, _FILE, _key(config, device), most)


def _key(config: TrialConfig, device: Device) -> str:
    """All that a trial's memory depends on: network, loss, optimizer, data, batch and device."""
    facts = (
        config.model.model_dump_json(exclude={"weights", "encoder_lr"}),
        config.loss.model_dump_json(),
        config.optimizer.name,
        config.dataset.model_dump_json(),
        config.training.model_dump_json(exclude={"epochs"}),
        device.kind,
        device.name,
        device.memory_gb,
    )
    return sha256(repr(facts).encode()).hexdigest()[:32]
