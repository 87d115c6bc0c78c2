"""Adam (Kingma and Ba 2015); weight decay is added to gradients, see `adamw` for the other way.

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
    amsgrad: bool = False,
) -> Optimizer:
    """The optimizer; `amsgrad` keeps the largest second moment (Reddi et al. 2018)."""
    return torch.optim.Adam(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=(beta1, beta2),
        eps=eps,
        amsgrad=amsgrad,
        fused=fused,
    )
