"""A table that segtune recorded itself: `{space, trials: [{params, curve, seconds}]}`."""

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.table import Table, coordinates
from benchmarks.search.task import Curve, Task
from tuner.spec.space import Params

METRIC = "miou"


def tasks(folder: Path) -> dict[str, Task]:
    """Every recorded table in the folder by its name."""
    return {path.name.partition(".")[0]: task(path) for path in sorted(folder.glob("*.json.gz"))}


def task(path: Path) -> Task:
    """One table as a task; trainings that ended early are left out of it."""
    document = _document(path)
    return Task(
        name=path.name.partition(".")[0],
        metric=METRIC,
        direction="maximize",
        epochs=_epochs(document),
        base=document.get("base", {}),
        space=document["space"],
        curves=_Rows(path),
    )


class _Rows:
    """The table, read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, params: Sequence[Params]) -> list[Curve]:
        return _read(self.path).curves(params)


@cache
def _read(path: Path) -> Table:
    document = _document(path)
    epochs = _epochs(document)
    whole = [trial for trial in document["trials"] if len(trial["curve"]) == epochs]
    spec = task(path).study({})
    return Table(
        spec,
        np.stack([coordinates(spec, trial["params"]) for trial in whole]),
        [_curve(trial) for trial in whole],
    )


def _curve(trial: Mapping[str, Any]) -> Curve:
    values: Sequence[float] = [step[METRIC] for step in trial["curve"]]
    return Curve(tuple(values), tuple(map(float, trial["seconds"])))


def _epochs(document: Mapping[str, Any]) -> int:
    return max(len(trial["curve"]) for trial in document["trials"])


@cache
def _document(path: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document
