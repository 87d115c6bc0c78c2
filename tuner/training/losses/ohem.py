"""Online hard example mining: cross-entropy over the pixels that the network gets wrong.

As in HRNet-OCR (Shrivastava et al. 2016 for pixels): kept are pixels whose right class has a
probability below `threshold`, and at least the share `keep` that is hardest. An auxiliary output
learns from every pixel, as in the published code, which mines for the main output only.
"""

from collections.abc import Sequence
from math import log
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.spec import shares
from tuner.training.ignore import IGNORE, mean_over_valid, mean_where
from tuner.training.losses._class_weights import class_weights as weights_by_rule

_PARTS = 10**9  # digits of `keep` beyond the ninth do not count; int64 holds the products


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.7,
    keep: Annotated[float, Field(ge=0, le=1)] = 0.0625,
    class_weights: Literal["none", "median_frequency", "inverse_log", "effective_number"] = "none",
    class_weight_power: Annotated[float, Field(ge=0, le=1)] = 1.0,
    beta: Annotated[float, Field(gt=0, lt=1)] | None = None,
) -> nn.Module:
    """The mean goes over the kept pixels; `keep` is a share of the valid pixels of a batch."""
    weights = weights_by_rule(class_weights, class_shares, beta=beta, power=class_weight_power)
    return _Mined(_Plain(weights), threshold, keep)


class _Plain(nn.Module):
    weights: Tensor

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Weighted cross-entropy per pixel, N×H×W."""
        return functional.cross_entropy(
            logits, labels, weight=self.weights, ignore_index=IGNORE, reduction="none"
        )

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over all valid pixels."""
        return mean_over_valid(self.losses(logits, labels), labels)


class _Mined(nn.Module):
    def __init__(self, plain: _Plain, threshold: float, keep: float) -> None:
        super().__init__()
        self.aux = plain
        self.easy = -log(threshold)
        # On the device a share is a ratio of whole numbers: products of floats round up by one.
        self.keep = shares.exact(keep).limit_denominator(_PARTS)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of N×K×H×W logits and N×H×W labels of int64."""
        return mean_where(self.aux.losses(logits, labels), self._kept(logits.detach(), labels))

    @torch.no_grad()
    def _kept(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Booleans N×H×W; how many there are stays on the device, so that nothing waits for it."""
        valid = labels != IGNORE
        # Unweighted, N×H×W: -ln p of the right class. Ignored pixels are easier than any other.
        hardness = functional.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
        hardness = hardness.masked_fill(~valid, -1.0)
        least = hardness.new_full((), self.easy)  # kept is what is as hard as this, a scalar
        if self.keep > 0:
            # The ⌈keep · valid⌉-th hardest, counted in whole numbers.
            order = hardness.flatten().sort(descending=True).values
            count = valid.sum() * self.keep.numerator + self.keep.denominator - 1
            last = count // self.keep.denominator - 1
            least = torch.minimum(least, order.index_select(0, last.clamp(min=0).view(1))[0])
        return valid & (hardness >= least)
