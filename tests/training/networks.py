"""Networks that tests compare: batch norms with statistics, and weights handed over in order."""

from typing import Any

import torch
from torch import nn


def place_of(encoder: str) -> str:
    """Where shapes are looked at: without numbers, but for SMP's MiT, which reads some."""
    return "cpu" if encoder.startswith("mit") else "meta"


def randomise(module: nn.Module) -> None:
    """Give batch norms statistics that are not trivial."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            torch.nn.init.normal_(part.running_mean, 0, 0.1)
            torch.nn.init.uniform_(part.running_var, 0.8, 1.2)


def settle(module: nn.Module, given: Any) -> Any:
    """Give batch norms the statistics of an input, so that activations keep their scale."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    module.train()(given)
    return module.eval()(given)


def take_over(ours: nn.Module, theirs: nn.Module) -> None:
    """Load another network's tensors one by one, in their order; every shape must agree."""
    own, tensors = ours.state_dict(), list(theirs.state_dict().values())
    assert [tensor.shape for tensor in own.values()] == [tensor.shape for tensor in tensors]
    ours.load_state_dict(dict(zip(own, tensors, strict=True)))
