"""Tables that segtune recorded itself: `{objective, base, space, trials}`.

A trial is `{params, seed, curve, seconds}`, its curve the metrics of each epoch.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.fitted import Fitted, Floats, Rows
from benchmarks.search.task import Curve, Task
from tuner.spec.space import Params


def tasks(folder: Path) -> dict[str, Task]:
    """Every recorded table in the folder by its name."""
    return {path.name.partition(".")[0]: task(path) for path in sorted(folder.glob("*.json.gz"))}


def task(path: Path) -> Task:
    """One table as a task."""
    document, table = _document(path), _Table(path)
    return Task(
        name=table.name,
        metric=document["objective"]["metric"],
        direction=document["objective"]["direction"],
        epochs=_epochs(document),
        base=document["base"],
        space=document["space"],
        curves=table.curves,
        noise=table.noise,
    )


def rows(path: Path) -> Rows:
    """What a table recorded; trainings that ended early are left out of it."""
    document, of = _document(path), task(path)
    whole = [trial for trial in document["trials"] if len(trial["curve"]) == of.epochs]
    return Rows(
        of.study({}),
        [trial["params"] for trial in whole],
        np.array([[step[of.metric] for step in trial["curve"]] for trial in whole]),
        np.array([trial["seconds"] for trial in whole], dtype=float),
    )


class _Table:
    """The table, read and fitted when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name.partition(".")[0]

    def curves(self, params: Sequence[Params]) -> list[Curve]:
        return _fitted(self.path).curves(params)

    def noise(self, params: Params) -> Floats | float:
        return _fitted(self.path).noise(self.name, params)


@cache
def _fitted(path: Path) -> Fitted:
    return Fitted(rows(path))


def _epochs(document: Mapping[str, Any]) -> int:
    return max(len(trial["curve"]) for trial in document["trials"])


@cache
def _document(path: Path) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document
