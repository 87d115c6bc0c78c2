"""A training's result beside the one that a file records: equal bit for bit, or why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.spec.versions import short
from tuner.wording import quantity

# Metrics of the machine rather than of the model: they differ from run to run.
_MACHINE = frozenset(
    {
        "images_per_second",
        "data_wait",
        "seconds",
        "peak_memory_mb",
        "gpu_utilisation",
    }
)
_SHOWN = 5
# What a number depends on beside its config, and how it is called.
_CAUSES = {
    "device_name": "processor or GPU",
    "threads": "CPU threads",
    "micro_batch": "micro-batch",
    "determinism": "determinism",
}


@dataclass(frozen=True, slots=True)
class Record:
    """What a file says that its config came to; `changed` says that another config is trained."""

    metrics: Mapping[str, float]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = False

    @property
    def data(self) -> str | None:
        """Fingerprint of the data."""
        found = self.provenance.get("data")
        return found if isinstance(found, str) else None

    @property
    def threads(self) -> int | None:
        """CPU threads: sums differ with their number."""
        found = self.provenance.get("threads")
        return found if isinstance(found, int) and found > 0 else None


def compare(
    new: Mapping[str, float], record: Record, provenance: Mapping[str, Any]
) -> Sequence[str]:
    """Lines that say whether the model's metrics are equal to the recorded ones, bit for bit."""
    old = record.metrics
    names = [name for name in old if name in new and name not in _MACHINE]
    if not names:
        return ("the file records no metric to compare with",)
    main = "miou" if "miou" in names else names[0]
    lines = [f"{main} {new[main]!r}, recorded {old[main]!r}"]
    different = [name for name in names if new[name] != old[name]]
    if not different:
        return (*lines, f"equal bit for bit in all {quantity(len(names), 'metric')}")
    lines.append(f"different in {len(different)} of {quantity(len(names), 'metric')}:")
    lines += [f"  {name}: {new[name] - old[name]:+.3e}" for name in different[:_SHOWN]]
    return (*lines, *_reasons(record, provenance))


def _reasons(record: Record, provenance: Mapping[str, Any]) -> Sequence[str]:
    """Why the numbers differ: everything that they depend on and that is not as recorded."""
    if record.changed:
        return ("the configuration was changed, so the result may differ",)
    found = list(_differences(record, provenance))
    if found:
        return ("what was not as recorded:", *(f"  {line}" for line in found))
    if provenance.get("determinism") == "fast":
        return ("determinism is fast, which does not repeat the last digits",)
    return ("nothing that the file records explains it; was it made by another version?",)


def _differences(record: Record, provenance: Mapping[str, Any]) -> Iterator[str]:
    old, new = record.provenance, dict(provenance)
    if record.data is not None and record.data != new.get("data"):
        yield f"the data: fingerprint {short(new.get('data'))}, recorded {short(record.data)}"
    for key, name in _CAUSES.items():
        if key in old and old[key] != new.get(key):
            yield f"{name}: {new.get(key)}, recorded {old[key]}"
    before, now = _facts(old, "versions"), _facts(new, "versions")
    for package, version in before.items():
        if version != now.get(package):
            yield f"version of {package}: {now.get(package)}, recorded {version}"
    weights = _facts(old, "weights"), _facts(new, "weights")
    if all(weights) and weights[0] != weights[1]:
        yield "the initial weights: see both provenances"
    yield from _teachers(_facts(old, "teachers"), _facts(new, "teachers"))


def _teachers(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Teachers of which the file holds other bytes than it did."""
    for name, digest in now.items():
        if digest != (recorded := before.get(name)):
            yield f"the teacher {name}: sha256 {short(digest)}, recorded {short(recorded)}"


def _facts(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One group of a provenance; none where a file says something else there."""
    found = provenance.get(name)
    return found if isinstance(found, Mapping) else {}
