"""Blur by a Gaussian of up to this many pixels."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.batches import warp

ACTS_ON = "pixels"
ORDER = 20
DRAWS = 1


def build(
    draws: NDArray[np.float64],
    pixels: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=10)] = 0.0,
) -> Tensor:
    """Pixels N×C×h×w in 0 … 255, blurred; the deviation is between 0 and `strength`."""
    return warp.blur(pixels, draws[:, 0] * strength)
