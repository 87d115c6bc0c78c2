"""Cross-entropy per pixel, with label smoothing and class weights.

The mean goes over valid pixels, whatever the weights: weights are scaled so that the pixels of
the training set weigh 1 on average, so that a learning rate keeps its meaning with and without
them. `median_frequency` follows SegNet (Badrinarayanan et al. 2017), `inverse_log` ENet
(Paszke et al. 2016): 1 / ln(1.02 + share).
"""

from collections.abc import Sequence
from statistics import median
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.ignore import IGNORE, mean_over_valid


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    class_weights: Literal["none", "median_frequency", "inverse_log"] = "none",
) -> nn.Module:
    """The loss for K classes that hold these shares of the labelled training pixels."""
    if class_weights == "none":
        weights = [1.0] * classes
    elif class_weights == "median_frequency":
        weights = _median_frequency(class_shares)
    else:
        weights = [1.0 / float(torch.tensor(1.02 + share).log()) for share in class_shares]
    return _CrossEntropy(_unit_mean(weights, class_shares), label_smoothing)


def _median_frequency(shares: Sequence[float]) -> list[float]:
    """A class that never occurs weighs nothing."""
    middle = median([share for share in shares if share > 0] or [1.0])
    return [middle / share if share > 0 else 0.0 for share in shares]


def _unit_mean(weights: Sequence[float], shares: Sequence[float]) -> Tensor:
    mean = sum(weight * share for weight, share in zip(weights, shares, strict=True))
    scale = 1.0 / mean if mean > 0 else 1.0
    return torch.tensor([weight * scale for weight in weights], dtype=torch.float32)


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
