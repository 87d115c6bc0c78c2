"""Prefer windows of `crop` or `scale` in which no class takes more than this share."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.batches import windows

ACTS_ON = "choice"
ORDER = 10
DRAWS = 0


def build(
    draws: NDArray[np.float64],
    seen: Tensor,
    *,
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0,
) -> Tensor:
    """Cost N×K of each window, from labels N×K×P of points in it: what the share is too large by.

    Of several windows without cost the first is taken, as in MMSegmentation's `cat_max_ratio`.
    """
    points = windows.counts(seen).float()
    labelled = points.sum(dim=-1)
    share = points.amax(dim=-1) / labelled.clamp(min=1)
    return (share - strength).clamp(min=0).masked_fill(labelled == 0, 1.0)
