"""RMSprop (Tieleman and Hinton 2012); weight decay is added to gradients.

Its learning rate scales with the square root of the batch.
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
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.99,
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    centered: bool = False,
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8,
) -> Optimizer:
    """The optimizer; torch has no fused kernel for it, so that `fused` changes nothing."""
    return torch.optim.RMSprop(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        alpha=alpha,
        momentum=momentum,
        centered=centered,
        eps=eps,
    )
