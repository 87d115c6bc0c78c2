"""Cross-entropy per pixel, with label smoothing and class weights.

`beta` is for the weights `effective_number` alone; None suits it to the shares of the classes.
The mean goes over valid pixels, whatever the weights; `losses/_class_weights.py` tells
the rules and keeps their scale.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.ignore import IGNORE, mean_over_valid
from tuner.training.losses._class_weights import class_weights as weights_by_rule


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    class_weights: Literal["none", "median_frequency", "inverse_log", "effective_number"] = "none",
    class_weight_power: Annotated[float, Field(ge=0, le=1)] = 1.0,
    beta: Annotated[float, Field(gt=0, lt=1)] | None = None,
) -> nn.Module:
    """The loss for K classes that hold these shares of the labelled training pixels."""
    weights = weights_by_rule(class_weights, class_shares, beta=beta, power=class_weight_power)
    return _CrossEntropy(weights, label_smoothing)


class _CrossEntropy(nn.Module):
    weights: Tensor

    def __init__(self, weights: Tensor, label_smoothing: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        # Only reduction "none" is deterministic on CUDA: the others add atomically.
        losses = functional.cross_entropy(
            logits,
            labels,
            weight=self.weights,
            ignore_index=IGNORE,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return mean_over_valid(losses, labels)
