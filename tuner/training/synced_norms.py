"""Batch norm over the images of every rank: its statistics are those of the whole batch.

What `torch.nn.SyncBatchNorm` does on GPUs only. A layer stays the one that it was, so that what is
scored, averaged and saved is an ordinary batch norm.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from tuner.training.process_group import ProcessGroup

CurrentGroup = Callable[[], ProcessGroup]


def synchronise(model: nn.Module, group: CurrentGroup) -> None:
    """Let each batch norm of a network learn from the statistics of all ranks of its group.

    Every rank must pass as many parts of a batch through the network as the others do. Alone, as
    before the others are there, it learns from one value per channel too.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            synced = partial(_forward, module, group, module.forward)
            module.forward = synced  # type: ignore[method-assign]


def _forward(norm: nn.BatchNorm2d, its_group: CurrentGroup, alone: Any, features: Tensor) -> Tensor:
    """N×C×H×W features, normalised in training by the mean and variance of all ranks'."""
    if not norm.training:
        return cast(Tensor, alone(features))
    group, wide = its_group(), features.float()
    own = wide.new_full((1,), wide.numel() // wide.shape[1])
    total = _total(group, torch.cat([wide.sum((0, 2, 3)), own]))  # C, and how many there are
    count = total[-1].detach()
    mean = total[:-1] / count
    centred = wide - mean[:, None, None]
    var = _total(group, centred.square().sum((0, 2, 3))) / count
    _track(norm, mean.detach(), var.detach() * (count / (count - 1).clamp(min=1)))
    scale = torch.rsqrt(var + norm.eps) * norm.weight
    normal = centred * scale[:, None, None] + norm.bias[:, None, None]
    # timm's batch norms drop and activate besides.
    drop, act = getattr(norm, "drop", None), getattr(norm, "act", None)
    found = normal.to(features.dtype)
    for then in (drop, act):
        found = found if then is None else then(found)
    return found


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor) -> None:
    """Bring the running statistics up to date with the mean and the unbiased variance."""
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    momentum = norm.momentum
    part = 1 / norm.num_batches_tracked if momentum is None else momentum
    norm.running_mean.lerp_(mean, part)
    norm.running_var.lerp_(var, part)


def _total(group: ProcessGroup, tensor: Tensor) -> Tensor:
    return cast(Tensor, _Total.apply(group, tensor))


class _Total(torch.autograd.Function):
    """The sum over all ranks, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, group: ProcessGroup, tensor: Tensor) -> Tensor:
        """Add up."""
        context.group = group
        return group.total(tensor)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        """Add up what each rank's loss has to say."""
        return None, context.group.total(gradients[0].contiguous())
