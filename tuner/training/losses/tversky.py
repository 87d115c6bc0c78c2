"""Tversky loss: Dice with a weight of its own for false alarms and misses (Salehi et al. 2017).

With `gamma` other than 1 it is the focal Tversky loss (Abraham and Khan 2019, who write 1/gamma).
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from tuner.training.losses._overlap import overlap

_LEAST = 1e-7  # x^gamma has no finite slope at 0 where gamma is below 1


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    false_alarm: Annotated[float, Field(ge=0, le=1)] = 0.3,
    miss: Annotated[float, Field(ge=0, le=1)] = 0.7,
    gamma: Annotated[float, Field(ge=0.3, le=3)] = 1.0,
    smooth: Annotated[float, Field(ge=0, le=1000)] = 1.0,
) -> nn.Module:
    """(1 - index)^gamma, index = hits / (hits + false_alarm·alarms + miss·misses), smoothed."""
    return _Tversky(false_alarm, miss, gamma=gamma, smooth=smooth)


class _Tversky(nn.Module):
    def __init__(self, false_alarm: float, miss: float, *, gamma: float, smooth: float) -> None:
        super().__init__()
        self.false_alarm = false_alarm
        self.miss = miss
        self.gamma = gamma
        self.smooth = smooth

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        found = overlap(logits, labels)
        alarms, misses = found.said - found.hits, found.true - found.hits
        hits = found.hits + self.smooth
        total = (hits + self.false_alarm * alarms + self.miss * misses).clamp(min=1e-12)
        return found.mean_over_present((1 - hits / total).clamp(min=_LEAST) ** self.gamma)
