"""The one ignore contract: label 255 inside, mean over valid pixels, zero where none is valid."""

from torch import Tensor

IGNORE = 255


def mean_over_valid(losses: Tensor, labels: Tensor) -> Tensor:
    """Mean of per-pixel losses, N×H×W, over pixels whose label counts.

    Where every pixel is ignored the result is a zero that still has a gradient graph.
    """
    valid = labels != IGNORE
    return losses.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)
