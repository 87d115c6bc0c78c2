"""rbv2_xgboost: gradient boosting on 119 OpenML tasks, its space mixed and conditional.

Binder et al. 2020, surrogate of YAHPO Gym (Pfisterer et al. 2022), Apache-2.0. A step is an equal
share of the rows to train on, so that a curve is the accuracy with ever more of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.surrogate import predict
from benchmarks.search.task import Curve, Task
from tuner.spec.space import Params

STEPS = 27
REPEATS = 10  # of the resampling, as many as were recorded
DEV = ("16", "3", "54", "1040", "12", "1067", "23", "31", "37", "1464")
REPORT = (
    *("14", "18", "22", "28", "32", "44", "46", "182", "300", "1049", "1063", "1068"),
    *("1461", "1475", "1478", "1480", "1485", "1486", "1487", "1489", "1494", "1510"),
    *("4134", "4534"),
)
# Values of a choice → what the surrogate calls them.
BOOSTER = "optimizer.name"
BOOSTERS: Mapping[str, str] = {"sgd": "gblinear", "adam": "gbtree", "adamw": "dart"}
IMPUTATION = "schedule.warmup_kind"
IMPUTATIONS: Mapping[str, str] = {
    "linear": "impute.mean",
    "exponential": "impute.median",
    "constant": "impute.hist",
}
# Path → name, in the order in which the surrogate wants the numbers, before trainsize and repl.
PATHS: Mapping[str, str] = {
    "training.micro_batch": "nrounds",
    "optimizer.lr": "eta",
    "model.encoder_lr": "gamma",
    "training.clip_norm": "lambda",
    "training.clip_value": "alpha",
    "augment.flip": "subsample",
    "model.layers": "max_depth",
    "training.clip_weights": "min_child_weight",
    "augment.vflip": "colsample_bytree",
    "augment.grayscale": "colsample_bylevel",
    "model.aux_weight": "rate_drop",
    "schedule.warmup_start": "skip_drop",
}
TREES = {"when": {BOOSTER: ["adam", "adamw"]}}
PENALTY = {"float": [0.0009118819655545162, 1096.6331584284585], "log": True}  # e⁻⁷ to e⁷
WEIGHT = {"float": [2.718281828459045, 148.4131591025766], "log": True}
DROPPED = {"when": {BOOSTER: "adamw"}}
SPACE: Mapping[str, Any] = {
    BOOSTER: {"choice": [*BOOSTERS]},
    IMPUTATION: {"choice": [*IMPUTATIONS]},
    "training.micro_batch": {"int": [7, 2981], "log": True},
    "training.clip_norm": PENALTY,
    "training.clip_value": PENALTY,
    "augment.flip": {"float": [0.1, 1.0]},
    "optimizer.lr": {"float": [0.0009118819655545162, 1.0], "log": True, **TREES},
    "model.encoder_lr": {"float": [4.5399929762484854e-05, 7.38905609893065], "log": True, **TREES},
    "model.layers": {"int": [1, 15], **TREES},
    "training.clip_weights": {
        "float": [2.718281828459045, 148.4131591025766],
        "log": True,
        **TREES,
    },
    "augment.vflip": {"float": [0.01, 1.0], **TREES},
    "augment.grayscale": {"float": [0.01, 1.0], **TREES},
    "model.aux_weight": {"float": [0.0, 1.0], **DROPPED},
    "schedule.warmup_start": {"float": [0.0, 1.0], **DROPPED},
}
BASE: Mapping[str, Mapping[str, Any]] = {
    "model": {"decoder": "cnn", "encoder": "resnet18"},
    "schedule": {"name": "constant", "warmup": 0.0},
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the surrogate calls a task, a booster and an imputation; 0 is what is not active."""

    places: Mapping[str, Mapping[str, int]]

    def rows(self, task: str, params: Sequence[Params]) -> dict[str, NDArray[Any]]:
        """The rows of each training, one a step, all of the first before those of the second."""
        numbers = np.zeros((len(params), STEPS, len(PATHS) + 2), dtype=np.float32)
        numbers[:, :, : len(PATHS)] = [[[one.get(path, 0) for path in PATHS]] for one in params]
        numbers[:, :, -2] = np.arange(1, STEPS + 1) / STEPS
        numbers[:, :, -1] = REPEATS
        kinds = np.array([self._kinds(task, one) for one in params], dtype=np.int32)
        return {
            "x_cat": kinds.repeat(STEPS, axis=0),
            "x_cont": numbers.reshape(-1, numbers.shape[2]),
        }

    def _kinds(self, task: str, params: Params) -> tuple[int, int, int]:
        return (
            self.places["task_id"][task],
            self.places["booster"][BOOSTERS[params[BOOSTER]]],
            self.places["num.impute.selected.cpo"][IMPUTATIONS[params[IMPUTATION]]],
        )


def tasks(folder: Path, names: Sequence[str]) -> dict[str, Task]:
    """These data sets of the surrogate by their OpenML numbers."""
    inputs = Inputs(json.loads((folder / "encoding.json").read_text()))
    alone = {
        name: Task(
            name=f"rbv2-{name}",
            metric="miou",  # stands for the accuracy
            direction="maximize",
            epochs=STEPS,
            base=BASE,
            space=SPACE,
            curves=partial(_curves, str(folder / "model.onnx"), inputs, name),
        )
        for name in names
    }
    kin = dict(zip(alone, [*alone.values()][1:] + [*alone.values()][:1], strict=True))
    return {name: replace(task, kin=kin[name]) for name, task in alone.items()}


def _curves(model: str, inputs: Inputs, task: str, params: Sequence[Params]) -> list[Curve]:
    """Accuracies; a step costs by how much it prolongs the longest time to train so far."""
    found = predict(model, inputs.rows(task, params))
    accuracy, time = found[:, 0].reshape(-1, STEPS), found[:, 6].reshape(-1, STEPS)
    longest = np.maximum.accumulate(np.maximum(time, 0.0), axis=1)
    return [
        Curve(tuple(map(float, values)), tuple(map(float, spent)))
        for values, spent in zip(accuracy, np.diff(longest, axis=1, prepend=0.0), strict=True)
    ]
