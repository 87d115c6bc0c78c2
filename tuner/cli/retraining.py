"""Training of one configuration in this process, and its comparison with a recorded result."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tuner.errors import InvalidSpec, Problem
from tuner.resolve import complete
from tuner.spec.config import TrialConfig
from tuner.spec.messages import Report, Verdict
from tuner.spec.views import Best

# Metrics of the machine rather than of the model: they differ from run to run.
_MACHINE = frozenset({"images_per_second", "data_wait", "seconds", "peak_memory_mb", "latency_ms"})
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Places:
    """Where to train and where files lie."""

    folder: Path
    cache: Path
    roots: tuple[Path, ...]
    device: str  # as torch names it
    threads: int | None


def recorded_threads(found: Best | None) -> int | None:
    """Threads of the recorded training: sums over threads differ in their last digits."""
    threads = found.provenance.get("threads") if found is not None else None
    return threads if isinstance(threads, int) and threads > 0 else None


def with_changes(config: TrialConfig, changes: Iterable[str]) -> TrialConfig:
    """The config with `section.key=value` assignments laid over it; values are YAML.

    Raises:
        InvalidSpec: an assignment, its path or its value is not possible.
    """
    tree: dict[str, Any] = config.model_dump(mode="json")
    for change in changes:
        path, is_assignment, text = change.partition("=")
        section, _, key = path.partition(".")
        whole = section == "seed" and not key
        if not is_assignment or not (whole or (isinstance(tree.get(section), dict) and key)):
            message = f"write section.key=value as in training.epochs=5, not '{change}'"
            raise InvalidSpec([Problem(("--set",), message)])
        if whole:
            tree[section] = yaml.safe_load(text)
        else:
            tree[section][key] = yaml.safe_load(text)
    try:
        return complete(TrialConfig.model_validate(tree))
    except ValidationError as error:
        raise InvalidSpec(
            [
                Problem(item["loc"], f"{item['msg']}, not {item['input']!r}")
                for item in error.errors()
            ]
        ) from None


def retrain(
    config: TrialConfig, places: Places, write: Callable[[str], None]
) -> Mapping[str, float]:
    """Train to the end, one line per epoch; gives the metrics of the last epoch.

    Raises:
        DataError, TrainingError: the data set or the training does not allow it.
    """
    from tuner.training.data import load
    from tuner.training.determinism import Machine
    from tuner.training.train import train

    last: dict[str, float] = {}

    def report(epoch: Report) -> Verdict:
        last.clear()
        last.update(epoch.metrics)
        write(describe(epoch, config.training.epochs))
        return Verdict()

    data = load(config.dataset, cache=places.cache, roots=places.roots)
    places.folder.mkdir(parents=True, exist_ok=True)
    machine = Machine(device=places.device, threads=places.threads)
    train(config, data, report, folder=places.folder, machine=machine)
    return last


def describe(epoch: Report, epochs: int) -> str:
    """One line on one epoch: `epoch 3/20: miou 0.4121, train_loss 0.8123 (2.1 s)`."""
    names = [name for name in ("miou", "pixel_accuracy", "train_loss") if name in epoch.metrics]
    values = ", ".join(f"{name} {epoch.metrics[name]:.4f}" for name in names)
    return f"epoch {epoch.step}/{epochs}: {values} ({epoch.seconds:.1f} s)"


def compare(
    new: Mapping[str, float], old: Mapping[str, float], *, changed: bool = False
) -> Sequence[str]:
    """Lines that say whether the model's metrics are equal to the recorded ones, bit for bit."""
    names = [name for name in old if name in new and name not in _MACHINE]
    if not names:
        return ("the file records no metric to compare with",)
    main = "miou" if "miou" in names else names[0]
    lines = [f"{main} {new[main]!r}, recorded {old[main]!r}"]
    different = [name for name in names if new[name] != old[name]]
    if not different:
        return (*lines, f"equal bit for bit in all {len(names)} metrics")
    if changed:
        lines.append("the configuration was changed, so the result may differ")
    lines.append(f"different in {len(different)} of {len(names)} metrics:")
    lines += [f"  {name}: {new[name] - old[name]:+.3e}" for name in different[:_SHOWN]]
    if not changed:
        lines.append("another device, thread count or library version changes the last digits")
    return tuple(lines)
