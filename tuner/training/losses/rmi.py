"""Region mutual information: neighbouring pixels are scored together (Zhao et al. 2019).

Each pixel stands for its `radius`×`radius` neighbourhood; the loss is an upper bound of half the
log-determinant of what the prediction leaves unexplained of the labels' neighbourhoods, per class
and image, plus a binary cross-entropy. Differences from the published code: its bound is shifted
by a constant so that it is never below 0; neighbourhoods that touch an ignored cell do not count
(there: labels of zero); a class that is absent adds exactly 0. Auxiliary outputs get the
cross-entropy alone (Tao et al. 2020).
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.ignore import IGNORE, mean_over_valid, mean_where, one_hot

_RIDGE = 5e-4


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    radius: Literal[1, 2, 3, 4, 5] = 3,
    downsample: Literal[1, 2, 4, 8] = 4,
    entropy_share: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> nn.Module:
    """entropy_share × cross-entropy + (1 - entropy_share) × information, each summed over classes.

    Sigmoid, not softmax, as published: every class is separated from all others by itself.
    """
    return _RegionInformation(radius, downsample, entropy_share)


class _BinaryEntropy(nn.Module):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Binary cross-entropy summed over classes, mean over valid pixels."""
        truth = one_hot(labels, logits.shape[1]).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return mean_over_valid(losses.sum(1), labels)


class _RegionInformation(nn.Module):
    def __init__(self, radius: int, downsample: int, entropy_share: float) -> None:
        super().__init__()
        self.aux = _BinaryEntropy()
        self.radius = radius
        self.downsample = downsample
        self.entropy_share = entropy_share

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        information = self._information(logits, labels).to(logits.dtype)
        entropy = self.aux(logits, labels)
        total: Tensor = self.entropy_share * entropy + (1 - self.entropy_share) * information
        return total

    def _information(self, logits: Tensor, labels: Tensor) -> Tensor:
        valid = (labels != IGNORE).unsqueeze(1)  # N×1×H×W
        # Sums over cells of pixels, N×1×h×w and twice N×K×h×w.
        count = self._pooled(valid.to(logits.dtype))
        truth = self._pooled(one_hot(labels, logits.shape[1]).to(logits.dtype))
        said = self._pooled(logits.sigmoid().masked_fill(~valid, 0))
        # 1 for regions without an empty cell, N×1×1×R; R regions of D = radius² cells each.
        whole = self._regions((count > 0).double()).prod(2, keepdim=True)
        # Neighbourhoods of labels and of predictions, N×K×D×R, as samples of D variables.
        y, p = (self._centred(sums / count.clamp(min=1), whole) for sums in (truth, said))
        spare = _RIDGE * torch.eye(y.shape[2], dtype=y.dtype, device=y.device)
        # Covariance of y that p does not explain: Σy - Σyp Σp⁻¹ Σpy, each N×K×D×D. In float64,
        # because a difference of nearly equal matrices must stay positive definite.
        cross = p @ y.mT
        explained = cross.mT @ torch.cholesky_solve(cross, _root(p @ p.mT + spare))
        root = _root((y @ y.mT - explained + spare) / _RIDGE)
        # Half the log-determinant is the sum of the logs of the root's diagonal.
        losses = root.diagonal(dim1=-2, dim2=-1).log().mean(-1).sum(1)
        return mean_where(losses, whole.flatten(1).any(1))

    def _pooled(self, tensor: Tensor) -> Tensor:
        """Sums over cells of downsample × downsample pixels, at least radius × radius of them."""
        step = self.downsample
        height, width = (max(-(-side // step), self.radius) * step for side in tensor.shape[-2:])
        padding = (0, width - tensor.shape[-1], 0, height - tensor.shape[-2])
        wide = functional.pad(tensor, padding).contiguous()
        return wide.view(*wide.shape[:2], -1, step, width // step, step).sum((3, 5))

    def _regions(self, cells: Tensor) -> Tensor:
        """N×C×h×w as N×C×radius²×regions: every cell of every neighbourhood."""
        reach = self.radius - 1
        height, width = cells.shape[-2] - reach, cells.shape[-1] - reach
        return torch.stack(
            [
                cells[:, :, top : top + height, left : left + width].flatten(2)
                for top in range(self.radius)
                for left in range(self.radius)
            ],
            dim=2,
        )

    def _centred(self, cells: Tensor, whole: Tensor) -> Tensor:
        """Neighbourhoods in float64 without their mean; those that are not whole are zero."""
        regions = self._regions(cells.double()) * whole
        mean = regions.sum(3, keepdim=True) / whole.sum(3, keepdim=True).clamp(min=1)
        return (regions - mean) * whole


def _root(matrix: Tensor) -> Tensor:
    # The checked spelling waits for the device, and raises where NaN should tell of divergence.
    root: Tensor = torch.linalg.cholesky_ex(matrix).L
    return root
