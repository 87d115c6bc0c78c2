"""Focal loss with softmax: easy pixels count less (Lin et al. 2017)."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.ignore import IGNORE, mean_over_valid
from tuner.training.losses._class_weights import class_weights as weights_by_rule

_LEAST = 1e-6  # (1 - p)^gamma has no finite slope at p = 1 where gamma is below 1


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0,
    class_weights: Literal["none", "median_frequency", "inverse_log", "effective_number"] = "none",
    class_weight_power: Annotated[float, Field(ge=0, le=1)] = 1.0,
    beta: Annotated[float, Field(gt=0, lt=1)] | None = None,
) -> nn.Module:
    """(1 - p)^gamma × -ln p, p the right class's probability; the weights are the paper's α."""
    weights = weights_by_rule(class_weights, class_shares, beta=beta, power=class_weight_power)
    return _Focal(weights, gamma)


class _Focal(nn.Module):
    weights: Tensor

    def __init__(self, weights: Tensor, gamma: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        plain = functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
        # 1 - p = 1 - exp(-loss), which expm1 keeps exact where p is near 1.
        doubt = (-(-plain).expm1()).clamp(min=_LEAST)  # N×H×W
        # An ignored pixel takes some class's weight, and is left out of the mean.
        weight = self.weights[labels.masked_fill(labels == IGNORE, 0)]
        return mean_over_valid(weight * doubt**self.gamma * plain, labels)
