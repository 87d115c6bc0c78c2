"""Adagrad (Duchi et al. 2011): steps shrink by themselves, and a constant schedule fits best.

Its learning rate scales with the square root of the batch; weight decay is added to gradients.
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
    initial: Annotated[float, Field(ge=0, le=10)] = 0.0,
    lr_decay: Annotated[float, Field(ge=0, le=1)] = 0.0,
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-10,
) -> Optimizer:
    """The optimizer; not every torch has its fused kernel for CUDA, so that `fused` is left out."""
    return torch.optim.Adagrad(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        initial_accumulator_value=initial,
        lr_decay=lr_decay,
        eps=eps,
    )
