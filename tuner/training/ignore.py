"""The one ignore contract: label 255 inside, mean over valid pixels, zero where none is valid.

Nothing here scatters or adds atomically, so that losses are deterministic on CUDA.
"""

import torch
from torch import Tensor

IGNORE = 255


def mean_over_valid(losses: Tensor, labels: Tensor) -> Tensor:
    """Mean of per-pixel losses, N×H×W, over pixels whose label counts.

    Where every pixel is ignored the result is a zero that still has a gradient graph.
    """
    return mean_where(losses, labels != IGNORE)


def mean_where(losses: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen entries; a zero with a gradient graph where none is chosen."""
    return losses.masked_fill(~chosen, 0).sum() / chosen.sum().clamp(min=1)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """N×K×H×W booleans: the label's class; nothing at ignored pixels."""
    names = torch.arange(classes, device=labels.device).view(1, classes, 1, 1)
    return labels.unsqueeze(1) == names
