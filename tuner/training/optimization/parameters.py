"""Parameter groups: which weights decay, and how fast each part of the network learns."""

from typing import Any

from torch import nn

from tuner.spec.config import TrialConfig

FACTOR = "factor"
DECAYS = "decays"


def groups(model: nn.Module, config: TrialConfig) -> list[dict[str, Any]]:
    """Groups for an optimizer, in the order in which the model first needs them.

    Each carries a `factor` that `set_rate` multiplies the learning rate with: `model.encoder_lr`
    for what lies under `encoder`, else 1; and `decays`, for `set_decay`. Without
    `optimizer.decay_norm`, norm scales, biases and other tensors of one dimension get no weight
    decay.
    """
    found: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        factor = config.model.encoder_lr if name.startswith("encoder.") else 1.0
        decays = config.optimizer.decay_norm or parameter.ndim > 1
        group = found.setdefault((factor, decays), {"params": [], FACTOR: factor, DECAYS: decays})
        if not decays:
            group["weight_decay"] = 0.0
        group["params"].append(parameter)
    return list(found.values())


def groups_of_loss(loss: nn.Module) -> list[dict[str, Any]]:
    """The group of what a loss itself has to learn, at the network's rate; none where nothing."""
    parameters = list(loss.parameters())
    return [{"params": parameters, FACTOR: 1.0, DECAYS: True}] if parameters else []


def set_rate(groups_of_optimizer: list[dict[str, Any]], rate: float) -> None:
    """Give every group its learning rate."""
    for group in groups_of_optimizer:
        group["lr"] = rate * group[FACTOR]


def set_decay(groups_of_optimizer: list[dict[str, Any]], decay: float) -> None:
    """Give every group that decays its weight decay."""
    for group in groups_of_optimizer:
        if group[DECAYS]:
            group["weight_decay"] = decay
