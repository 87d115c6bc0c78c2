"""Runs in files: a line of JSON each, or all of them packed to be kept in the repository.

A packed file is xz, which is half of gzip here; the levels of a task stand in it once, and numbers
are rounded to what figures show.
"""

import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.search.levels import Levels
from benchmarks.search.simulator import Setup

PACKED = ".xz"
DIGITS = 6  # of a value; regret divides by differences of values


@dataclass(frozen=True, slots=True)
class Order:
    """One simulation to run."""

    group: str
    task: str
    method: str
    setting: Setup

    def key(self) -> str:
        """What makes it this simulation."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One simulation that was run. Budgets count whole trainings.

    `best` is a row (budget, value, last value of that training) for each epoch that reported
    better than all before; `completed` the same of last epochs alone. Values are true ones, free
    of noise. `drawn_by` counts the trials of each source, of a method of ours.
    """

    order: dict[str, Any]
    levels: Levels
    direction: str
    best: list[list[float]]
    trained: float
    idle: float
    trials: int
    leases: int
    losses: int
    cpu_seconds: float
    milliseconds: dict[str, float]
    completed: list[list[float]] = field(default_factory=list)  # of earlier revisions not known
    drawn_by: dict[str, int] = field(default_factory=dict)  # nor this

    def key(self) -> str:
        """The key of its order."""
        return json.dumps(self.order, sort_keys=True)


def load(path: Path) -> list[Run]:
    """Every whole run in the file; a line that was cut off is passed over."""
    if not path.exists():
        return []
    data = path.read_bytes()
    lines = (lzma.decompress(data) if path.suffix == PACKED else data).decode().splitlines()
    documents = [json.loads(line) for line in lines if line.endswith("}")]
    if path.suffix != PACKED:
        return [_run(document, document["levels"]) for document in documents]
    known, *packed = documents
    return [_run(document, known["levels"][document["levels"]]) for document in packed]


def add(run: Run, path: Path) -> None:
    """Append a run to a file of lines."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(run)) + "\n")


def pack(runs: Iterable[Run], path: Path) -> None:
    """Write all runs in order of their keys, of the same simulation the last one."""
    levels: list[dict[str, Any]] = []
    lines = []
    for run in sorted(latest(runs), key=Run.key):
        known = _rounded(asdict(run.levels))
        if known not in levels:
            levels.append(known)
        lines.append({**_rounded(asdict(run)), "levels": levels.index(known)})
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    head = json.dumps({"levels": levels}) + "\n"
    path.write_bytes(lzma.compress((head + text).encode(), preset=9))


def latest(runs: Iterable[Run]) -> list[Run]:
    """Of the same simulation the last one."""
    return list({run.key(): run for run in runs}.values())


def renamed(runs: Iterable[Run], names: Mapping[str, str]) -> list[Run]:
    """The runs, methods under other names: the same name may mean another search by now."""
    found = []
    for run in runs:
        method = run.order["method"]
        found.append(replace(run, order={**run.order, "method": names.get(method, method)}))
    return found


def _run(document: dict[str, Any], levels: Mapping[str, float]) -> Run:
    order = document["order"]
    order["setting"] = asdict(Setup(**order["setting"]))  # what is newer than the file too
    return Run(**{**document, "levels": Levels(**levels)})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
