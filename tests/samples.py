"""What studies for tests are made of, in every room."""

from typing import Any

DATASET: dict[str, Any] = {"format": "synthetic", "classes": ["road", "car"], "size": [32, 32]}
TRAINING_SPACE: dict[str, Any] = {
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "optimizer.lr": [
        {"float": [1e-3, 1e-1], "log": True, "when": {"optimizer.name": "sgd"}},
        {"float": [1e-5, 3e-3], "log": True, "when": {"optimizer.name": "adamw"}},
    ],
    "optimizer.weight_decay": {"float": [1e-6, 1e-2], "log": True},
    "training.batch_size": {"choice": [4, 8, 16]},
}
SPACE: dict[str, Any] = {**TRAINING_SPACE, "augment.rotate": {"int": [0, 30]}}
