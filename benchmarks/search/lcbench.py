"""LCBench: 52-epoch curves of tabular networks on 34 data sets, as a surrogate gives them.

Zimmer et al. 2021, surrogate of YAHPO Gym (Pfisterer et al. 2022), Apache-2.0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.surrogate import predict
from benchmarks.search.task import Curve, Task
from tuner.spec.space import Params

EPOCHS = 52
DEV = (
    *("3945", "7593", "34539", "126025", "126026"),
    *("126029", "146212", "167104", "167149", "167152"),
)
# In the order in which the surrogate wants them, after the epoch.
PATHS = (
    "training.batch_size",
    "optimizer.lr",
    "optimizer.momentum",
    "optimizer.weight_decay",
    "model.layers",
    "model.mid_channels",
    "model.dropout",
)
SPACE: Mapping[str, Any] = {
    "training.batch_size": {"int": [16, 512], "log": True},
    "optimizer.lr": {"float": [1e-4, 0.1], "log": True},
    "optimizer.momentum": {"float": [0.1, 0.99]},
    "optimizer.weight_decay": {"float": [1e-5, 0.1]},
    "model.layers": {"int": [1, 5]},
    "model.mid_channels": {"int": [64, 1024], "log": True},
    "model.dropout": {"float": [0.0, 0.999]},  # the table goes to 1, a network does not
}
BASE: Mapping[str, Mapping[str, Any]] = {
    "model": {"decoder": "cnn", "encoder": "resnet18"},
    "optimizer": {"name": "sgd"},
    "schedule": {"name": "constant", "warmup": 0.0},
}


def tasks(folder: Path) -> dict[str, Task]:
    """Every data set of the surrogate by its OpenML number."""
    choices = json.loads((folder / "config_space.json").read_text())["hyperparameters"][0]
    places = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    alone = {
        name: Task(
            name=f"lcbench-{name}",
            metric="miou",  # stands for the validation accuracy
            direction="maximize",
            epochs=EPOCHS,
            base=BASE,
            space=SPACE,
            curves=partial(_curves, str(folder / "model.onnx"), places[name]),
        )
        for name in choices["choices"]
    }
    kin = dict(zip(alone, [*alone.values()][1:] + [*alone.values()][:1], strict=True))
    return {name: replace(task, kin=kin[name]) for name, task in alone.items()}


def _curves(model: str, place: int, params: Sequence[Params]) -> list[Curve]:
    """Accuracies as shares; seconds are the differences of the predicted time so far."""
    rows = np.empty((len(params), EPOCHS, 8), dtype=np.float32)
    rows[:, :, 0] = np.arange(1, EPOCHS + 1)
    rows[:, :, 1:] = np.array([[one[path] for path in PATHS] for one in params])[:, None, :]
    inputs = {
        "x_cat": np.full((rows.shape[0] * EPOCHS, 1), place, dtype=np.int32),
        "x_cont": rows.reshape(-1, 8),
    }
    time, accuracy = np.split(predict(model, inputs)[:, :2], 2, axis=1)
    seconds = np.maximum(np.diff(time.reshape(-1, EPOCHS), axis=1, prepend=0.0), 0.0)
    return [
        Curve(tuple(map(float, values)), tuple(map(float, spent)))
        for values, spent in zip(accuracy.reshape(-1, EPOCHS) / 100, seconds, strict=True)
    ]
