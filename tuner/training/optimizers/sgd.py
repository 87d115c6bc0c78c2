"""Stochastic gradient descent with momentum; its learning rate scales linearly with the batch."""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

LR_SCALING = "linear"


def build(
    parameters: Iterable[nn.Parameter],
    lr: float,
    weight_decay: float,
    fused: bool,
    *,
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9,
    nesterov: bool = False,
) -> Optimizer:
    """The optimizer; Nesterov's look-ahead needs momentum and is left out without it."""
    return torch.optim.SGD(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov and momentum > 0,
        fused=fused,
    )
