"""Adam with decoupled weight decay (Loshchilov and Hutter 2019).

Its learning rate scales with the square root of the batch.
"""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.optim import Optimizer

LR_SCALING = "sqrt"


def build(  # options, all with defaults
    parameters: Iterable[nn.Parameter],
    lr: float,
    weight_decay: float,
    fused: bool,
    *,
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9,
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999,
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8,
) -> Optimizer:
    """The optimizer; `weight_decay` is multiplied by the learning rate, not added to gradients."""
    return torch.optim.AdamW(
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=(beta1, beta2),
        eps=eps,
        fused=fused,
    )
