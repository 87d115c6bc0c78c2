"""Adadelta (Zeiler 2012): a step's size comes from the steps before, and `lr` near 1 leaves it so.

It adapts to the batch by itself, so that its learning rate does not scale.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

LR_SCALING = "none"


def build(
    parameters: ParamsT,
    lr: float,
    weight_decay: float,
    fused: bool,
    *,
    rho: Annotated[float, Field(ge=0, lt=1)] = 0.9,
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-6,
) -> Optimizer:
    """The optimizer; weight decay is added to gradients, and torch has no fused kernel for it."""
    return torch.optim.Adadelta(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        rho=rho,
        eps=eps,
    )
