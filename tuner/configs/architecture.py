"""What of a config makes its network another one.

Weights do not, except those of a file: it may hold a pruned network, which has fewer channels.
"""

import json
from hashlib import sha256
from typing import Any

from tuner.spec.config import DatasetConfig, TrialConfig

# How a network learns, or what only counts while it does: dropout lets everything pass afterwards.
_OF_TRAINING = frozenset({"weights", "aux_weight", "freeze_epochs", "encoder_lr", "dropout"})
_WHOLE = ("none", "pretrained")  # weights that fit the network as its config describes it
# What of a data set does not say how many channels its images have.
_OF_LABELS = frozenset(
    {"subset", "holdout", "fold", "group", "remap", "classes", "ignore_index", "size"}
)


def architecture(config: TrialConfig) -> dict[str, Any]:
    """The facts that the network is built from, as plain JSON values.

    How many channels an image has is seen in its files alone; so the facts name the images.
    """
    model = config.model.model_dump(mode="json", exclude=set(_OF_TRAINING))
    if has_own_shapes(config):
        model["weights"] = config.model.weights
    if model["norm"] in {"sync", "frozen"}:  # batch norm, with other statistics in training
        model["norm"] = "batch"
    return {
        "model": model,
        "classes": len(config.dataset.classes),
        "images": _images(config.dataset),
    }


def has_own_shapes(config: TrialConfig) -> bool:
    """Whether a file of weights may say of the network's layers how many channels they have."""
    return config.model.weights not in _WHOLE


def signature(config: TrialConfig) -> str:
    """The same text for networks of the same architecture, and for no others."""
    text = json.dumps(architecture(config), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _images(dataset: DatasetConfig) -> dict[str, Any]:
    return dataset.model_dump(mode="json", exclude=set(_OF_LABELS))
