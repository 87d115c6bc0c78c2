"""Building blocks that several decoders share."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from tuner.training.network.resize import resize
from tuner.training.network.tracing import is_traced


def conv_bn_relu(
    inputs: int, outputs: int, *, kernel: int = 1, dilation: int = 1, bias: bool = False
) -> nn.Sequential:
    """Convolution that keeps the size, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(
            inputs,
            outputs,
            kernel,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            bias=bias,
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def separable_bn_relu(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3×3 and pointwise convolution, batch norm and ReLU (Chen et al. 2018)."""
    depthwise = nn.Conv2d(
        inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False
    )
    pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
    return nn.Sequential(depthwise, pointwise, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def fcn_head(inputs: int, classes: int, *, dropout: float = 0.1) -> nn.Sequential:
    """The FCN head of torchvision: 3×3 to a quarter of the channels, dropout, classifier."""
    middle = max(inputs // 4, 1)
    return nn.Sequential(
        *conv_bn_relu(inputs, middle, kernel=3),
        nn.Dropout(dropout),
        nn.Conv2d(middle, classes, 1),
    )


def joined(features: list[Tensor], *, align_corners: bool = False) -> Tensor:
    """All feature maps side by side at the size of the finest, as HRNetV2 fuses its branches."""
    size = (features[0].shape[-2], features[0].shape[-1])
    resized = [resize(feature, size, align_corners=align_corners) for feature in features]
    return torch.cat(resized, dim=1)


class MeanPool(nn.Module):
    """Adaptive average pooling to bins×bins as two matrix products, whose gradient is exact."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, features: Tensor) -> Tensor:
        """N×C×H×W to N×C×bins×bins."""
        if self.bins == 1:
            return features.mean(dim=(2, 3), keepdim=True)
        place = (str(features.device), features.dtype)
        # bins×H · N×C×H×W · W×bins; torch's own adaptive pooling adds atomically on CUDA.
        means = _means if is_traced() else _kept_means
        down = means(features.shape[-2], self.bins, *place)
        across = means(features.shape[-1], self.bins, *place)
        return down @ features @ across.T


def _means(old: int, new: int, device: str, dtype: torch.dtype) -> Tensor:
    """Weights of shape new×old; a row averages the positions that its bin touches."""
    # Written without loops, because `old` is a symbol while a network is exported.
    rows, positions = torch.arange(new)[:, None], torch.arange(old)
    start, end = rows * old // new, ((rows + 1) * old + new - 1) // new
    inside = (positions >= start) & (positions < end)
    return (inside / (end - start).double()).to(device=device, dtype=dtype)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a matrix made while scoring must serve a backward pass later
def _kept_means(old: int, new: int, device: str, dtype: torch.dtype) -> Tensor:
    return _means(old, new, device, dtype)


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017): N×C×H×W to N×channels×H×W."""

    def __init__(
        self,
        inputs: int,
        channels: int,
        *,
        rates: Sequence[int],
        dropout: float,
        separable: bool,
    ) -> None:
        super().__init__()
        atrous = [
            separable_bn_relu(inputs, channels, dilation=rate)
            if separable
            else conv_bn_relu(inputs, channels, kernel=3, dilation=rate)
            for rate in rates
        ]
        self.branches = nn.ModuleList([conv_bn_relu(inputs, channels), *atrous])
        self.pooled = conv_bn_relu(inputs, channels)
        self.project = nn.Sequential(
            *conv_bn_relu(channels * (len(rates) + 2), channels), nn.Dropout(dropout)
        )

    def forward(self, features: Tensor) -> Tensor:
        """All branches side by side, projected; the pooled one has a single value per image."""
        # A mean has a deterministic gradient on CUDA; adaptive pooling has none.
        pooled = self.pooled(features.mean(dim=(2, 3), keepdim=True))
        parts = [branch(features) for branch in self.branches]  # each N×channels×H×W
        size = (features.shape[-2], features.shape[-1])
        project: Tensor = self.project(torch.cat([*parts, resize(pooled, size)], dim=1))
        return project
