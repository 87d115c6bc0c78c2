"""NAdam: Adam with Nesterov's look-ahead (Dozat 2016) and decoupled weight decay.

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
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9,
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999,
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8,
    momentum_decay: Annotated[float, Field(ge=0, le=1)] = 0.004,
) -> Optimizer:
    """The optimizer; torch has no fused kernel for it, so that `fused` changes nothing."""
    return torch.optim.NAdam(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=(beta1, beta2),
        eps=eps,
        momentum_decay=momentum_decay,
        decoupled_weight_decay=True,
    )
