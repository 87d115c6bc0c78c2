"""Dilation of plain stacks of convolutions and pools, such as VGG, by the à trous algorithm.

A pool that would halve the map slides by one instead, and all that follows reads every other value:
so DeepLab made VGG dense (Chen et al. 2015). Each value of the undilated network is still there, at
every second row and column, borders included; weights keep their names and their meaning.
"""

from torch import Tensor, nn
from torch.nn import functional


def dilate(net: nn.ModuleDict, output_stride: int) -> None:
    """Keep the layers of a stack from going below a stride, in place."""
    stride = dilation = 1
    for name, layer in list(net.items()):
        if isinstance(layer, nn.Conv2d):
            layer.dilation = (dilation, dilation)
            layer.padding = (dilation, dilation)
        elif isinstance(layer, nn.MaxPool2d) and stride < output_stride:
            stride *= 2
        elif isinstance(layer, nn.MaxPool2d):
            net[name] = _SlidingPool(dilation)
            dilation *= 2


class _SlidingPool(nn.Module):
    """Maxima of 2×2 values that lie `dilation` apart, at every position."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation

    def forward(self, features: Tensor) -> Tensor:
        """N×C×H×W to the same size; beyond the border there is nothing to be the largest."""
        reach = (0, self.dilation, 0, self.dilation)
        padded = functional.pad(features, reach, value=float("-inf"))
        return functional.max_pool2d(padded, 2, stride=1, dilation=self.dilation)
