"""Mean squared error of the softmax against one-hot labels: the Brier score (Brier 1950).

Squares are summed over the classes, so that a class that nobody labels or predicts costs nothing;
a pixel that is wrong with all confidence costs 2, however wrong the logits are.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from tuner.training.ignore import IGNORE, mean_over_valid, one_hot
from tuner.training.losses._class_weights import class_weights as weights_by_rule


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    class_weights: Literal["none", "median_frequency", "inverse_log", "effective_number"] = "none",
    class_weight_power: Annotated[float, Field(ge=0, le=1)] = 1.0,
    beta: Annotated[float, Field(gt=0, lt=1)] | None = None,
) -> nn.Module:
    """Σ over classes of (p - y)², y 1 for the label and 0 elsewhere; mean over valid pixels."""
    return _Brier(weights_by_rule(class_weights, class_shares, beta=beta, power=class_weight_power))


class _Brier(nn.Module):
    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        errors = logits.softmax(dim=1) - one_hot(labels, logits.shape[1]).to(logits.dtype)
        weight = self.weights[labels.masked_fill(labels == IGNORE, 0)]
        return mean_over_valid(weight * errors.square().sum(dim=1), labels)
