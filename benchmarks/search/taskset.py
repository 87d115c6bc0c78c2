"""TaskSet: 1,000 recorded trainings with Adam per task, 8 params, loss to minimise.

Metz et al. 2020, in the form of DyHPO (Wistuba et al. 2022), Apache-2.0. Params are known by their
unit coordinate on a logarithmic scale: Adam's ranges there go beyond what a study may say.
"""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.fitted import Fitted, Rows
from benchmarks.search.table import Table
from benchmarks.search.task import Curve, Task, params_at
from tuner.spec.space import Params

# Path → the param of the table that it stands for; where its logarithm is spread evenly.
PATHS: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "optimizer.lr": ("learning_rate", lambda value: value),
    "optimizer.beta1": ("beta1", lambda value: 1 - value),
    "optimizer.beta2": ("beta2", lambda value: 1 - value),
    "optimizer.eps": ("epsilon", lambda value: value),
    "optimizer.weight_decay": ("l2", lambda value: value),
    "loss.label_smoothing": ("l1", lambda value: value),
    "model.encoder_lr": ("linear_decay", lambda value: value),
    "schedule.final": ("exponential_decay", lambda value: value),
}
RANGE = {"float": [1e-4, 0.9], "log": True}
BASE: Mapping[str, Mapping[str, Any]] = {
    "model": {"decoder": "cnn", "encoder": "resnet18"},
    "optimizer": {"name": "adam"},
    "schedule": {"name": "exponential", "warmup": 0.0},
}


def tasks(folder: Path) -> dict[str, Task]:
    """Every table in the folder by its name."""
    return {name: _task(path, name) for path in _tables(folder) if (name := path.name[:-8])}


def fitted(folder: Path) -> dict[str, Task]:
    """The same tables, each answered by a model of its trainings instead of the nearest."""
    answers = {path.name[:-8]: _Model(path) for path in _tables(folder)}
    return {name: replace(one, curves=answers[name]) for name, one in tasks(folder).items()}


def rows(path: Path) -> Rows:
    """What a table recorded."""
    table = _read(path)
    params = [params_at(table.spec, point) for point in table.points]
    values = np.array([curve.values for curve in table.recorded])
    return Rows(table.spec, params, values, np.ones_like(values))


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json.gz"))


def _task(path: Path, name: str) -> Task:
    rows = _Rows(path)
    return Task(
        name=f"taskset-{name}",
        metric="train_loss",  # stands for the validation loss
        direction="minimize",
        epochs=50,
        base=BASE,
        space=dict.fromkeys(PATHS, RANGE),
        curves=rows,
    )


class _Rows:
    """The table, read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, params: Sequence[Params]) -> list[Curve]:
        return _read(self.path).curves(params)


class _Model:
    """The model, fitted when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, params: Sequence[Params]) -> list[Curve]:
        return _fitted(self.path).curves(params)


@cache
def _fitted(path: Path) -> Fitted:
    return Fitted(rows(path))


@cache
def _read(path: Path) -> Table:
    rows = json.loads(gzip.decompress(path.read_bytes()))
    losses = np.array([row["valid"]["loss"] for row in rows], dtype=float)
    # The first of 51 points is the untrained network's. What diverges counts as twice as bad.
    bound = 2 * np.median(losses[:, 0])
    losses = np.minimum(np.nan_to_num(losses[:, 1:], nan=bound), bound)
    spec = _task(path, "table").study({})
    columns = [_unit(rows, *PATHS[name]) for name in spec.space.ordered]
    every = tuple(1.0 for _ in range(losses.shape[1]))  # no times were recorded
    curves = [Curve(tuple(map(float, row)), every) for row in losses]
    return Table(spec, np.stack(columns, axis=1), curves)


def _unit(
    rows: Sequence[Mapping[str, Any]], name: str, scale: Callable[[float], float]
) -> NDArray[np.float64]:
    values = np.log([scale(row["hp"][name]) for row in rows])
    unit: NDArray[np.float64] = (values - values.min()) / (values.max() - values.min())
    return unit
