"""Bounds on gradients and on weights, without a look at the device."""

import torch
from torch import Tensor, nn

from tuner.spec.config import TrainingConfig


def clip(model: nn.Module, settings: TrainingConfig) -> None:
    """Bound the gradients of a whole batch before the optimizer's step, in place.

    First each number to ±`clip_value`, then all together to the norm `clip_norm` (Pascanu et al.
    2013). A gradient that is not finite stays so, and shows as divergence.
    """
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(model.parameters(), settings.clip_value)
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)


@torch.no_grad()
def clip_weights(model: nn.Module, settings: TrainingConfig) -> None:
    """Bound every weight that learns to ±`clip_weights` after the optimizer's step, in place."""
    bound = settings.clip_weights
    if bound is None:
        return
    weights: list[Tensor] = [
        parameter for parameter in model.parameters() if parameter.requires_grad
    ]
    if weights:
        torch._foreach_clamp_min_(weights, -bound)  # one kernel; there is no public spelling
        torch._foreach_clamp_max_(weights, bound)
