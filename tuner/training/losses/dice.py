"""Soft Dice loss over the batch, averaged over the classes that occur (Milletari et al. 2016)."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from tuner.training.losses._overlap import overlap


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    smooth: Annotated[float, Field(ge=0, le=1000)] = 1.0,
    squared: bool = False,
) -> nn.Module:
    """1 - (2·hits + smooth) / (said + true + smooth), in pixels; `squared` sums p² into `said`."""
    return _Dice(smooth, squared)


class _Dice(nn.Module):
    def __init__(self, smooth: float, squared: bool) -> None:
        super().__init__()
        self.smooth = smooth
        self.squared = squared

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        found = overlap(logits, labels, squared=self.squared)
        total = (found.said + found.true + self.smooth).clamp(min=1e-12)
        return found.mean_over_present(1 - (2 * found.hits + self.smooth) / total)
