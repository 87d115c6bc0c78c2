"""Adafactor: second moments by row and column only (Shazeer and Stern 2018).

It needs next to no memory. Its learning rate is a share of each tensor's own size, and scales with
the square root of the batch.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

LR_SCALING = "sqrt"


def build(
    parameters: ParamsT,
    lr: float,
    weight_decay: float,
    fused: bool,
    *,
    beta2_decay: Annotated[float, Field(ge=-2, lt=0)] = -0.8,
    clip: Annotated[float, Field(ge=1, le=100)] = 1.0,
) -> Optimizer:
    """The optimizer; weight decay is decoupled, and torch has no fused kernel for it."""
    return torch.optim.Adafactor(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        beta2_decay=beta2_decay,
        d=clip,
    )
