"""What the numbers of a training depend on beside its config."""

import platform
from typing import Any

import timm
import torch

import tuner
from tuner.configs import packages
from tuner.training.network import model
from tuner.training.train_state import TrainState


def of(state: TrainState) -> dict[str, Any]:
    """Data, versions, device, micro-batch and size of the network, as they are now."""
    found: dict[str, Any] = {
        "weights": dict(state.model.initial_weights),
        "teachers": dict(state.teachers.digests),
    }
    found["plugins"] = packages.of_config(state.config)
    if state.best is not None:
        found["model_epoch"] = state.best.step
    if state.group.rank.count > 1:
        found["gpus"] = state.group.rank.count
    return {
        "data": state.owner.fingerprint,
        "versions": {
            "segtune": tuner.__version__,
            "torch": torch.__version__,
            "timm": timm.__version__,
            "python": platform.python_version(),
        },
        "device": state.context.device,
        "device_name": state.context.name,
        "threads": torch.get_num_threads(),
        "determinism": state.config.training.determinism,
        "micro_batch": state.micro_batch,
        "parameters": model.parameter_count(state.model),
        "seconds": state.progress.seconds,
    } | {name: facts for name, facts in found.items() if facts}
