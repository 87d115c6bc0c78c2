"""Lovász-softmax: the convex surrogate of the Jaccard index (Berman et al. 2018).

Over the classes that occur, in the batch as a whole or image by image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tuner.training.ignore import IGNORE, mean_where, one_hot


def build(classes: int, class_shares: Sequence[float], *, per_image: bool = False) -> nn.Module:
    """The loss of the batch, or with `per_image` the mean over images that have a valid pixel."""
    return _Lovasz(per_image)


class _Lovasz(nn.Module):
    def __init__(self, per_image: bool) -> None:
        super().__init__()
        self.per_image = per_image

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        # G groups (one, or N) of P pixels each.
        truth = self._grouped(one_hot(labels, logits.shape[1]))  # G×K×P
        ignored = self._grouped((labels == IGNORE).unsqueeze(1))  # G×1×P
        errors = (truth.to(logits.dtype) - self._grouped(logits.softmax(1))).abs()
        errors = errors.masked_fill(ignored, 0)
        # The extension is linear between the corners that the order of the errors names, so that
        # loss = errors · slopes, and the slopes are constants to autograd.
        losses = (errors * _slopes(errors.detach(), truth, ignored)).sum(2)  # G×K
        present = truth.any(2)  # G×K
        means = losses.masked_fill(~present, 0).sum(1) / present.sum(1).clamp(min=1)
        return mean_where(means, present.any(1))

    def _grouped(self, tensor: Tensor) -> Tensor:
        """N×C×H×W as groups × C × pixels: one group for each image, or one for all."""
        if self.per_image:
            return tensor.flatten(2)
        return tensor.transpose(0, 1).flatten(1).unsqueeze(0)


@torch.no_grad()
def _slopes(errors: Tensor, truth: Tensor, ignored: Tensor) -> Tensor:
    """How much the Jaccard loss grows when a pixel joins those with larger errors.

    Counted in whole numbers and in closed form: the difference of two Jaccard indices of millions
    of pixels, as published, is mostly rounding in float32, and a float cumsum is slow on CUDA when
    it must be deterministic. Gathered back by rank, so that no gradient passes through the sort.
    """
    # All are G×K×P. Ignored pixels come last, behind every error that counts.
    order = errors.masked_fill(ignored, -1).sort(dim=2, descending=True, stable=True).indices
    sorted_truth = truth.gather(2, order).long()
    total = sorted_truth.sum(2, keepdim=True)
    # With the first r pixels wrong, intersection and union of what is left of the class:
    left = (total - sorted_truth.cumsum(2)).to(errors.dtype)
    union = (total + (1 - sorted_truth).cumsum(2)).clamp(min=1).to(errors.dtype)
    # J = left / union. A missed pixel takes one from `left`: J falls by 1 / union. A false alarm
    # adds one to the union: J falls by left / (union - 1) - left / union.
    alarm = left / (union * (union - 1)).clamp(min=1)
    slopes = torch.where(sorted_truth.bool(), 1 / union, alarm)
    return slopes.gather(2, order.argsort(dim=2))
