"""An exponential moving average of weights and of batch-norm statistics."""

import copy
from typing import cast

import torch
from torch import nn


class Average:
    """A second model that follows the first; early on it follows faster.

    The decay of step t is min(decay, (1 + t) / (10 + t)), as in TensorFlow's
    ExponentialMovingAverage, so that a short run is not dominated by its initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model after optimizer step `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        own, new = self.module.state_dict(), model.state_dict()
        floating = [name for name, tensor in own.items() if tensor.is_floating_point()]
        torch._foreach_lerp_(  # one kernel for all tensors; there is no public spelling
            [own[name] for name in floating], [new[name] for name in floating], 1 - decay
        )
        for name in own.keys() - set(floating):
            cast(torch.Tensor, own[name]).copy_(new[name])
