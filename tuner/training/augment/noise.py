"""Add Gaussian noise of a deviation up to this many of 255 grey levels."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.augment import _grain

ACTS_ON = "pixels"
ORDER = 30
DRAWS = 2


def build(
    draws: NDArray[np.float64],
    pixels: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=128)] = 0.0,
) -> Tensor:
    """Pixels N×C×h×w in 0 … 255, with noise of each pixel's and channel's own."""
    deviations = torch.from_numpy((draws[:, 0] * strength).astype(np.float32)).to(
        pixels.device, non_blocking=True
    )
    noise = _grain.normals(draws[:, 1], pixels[0].numel(), pixels.device).view_as(pixels)
    return torch.addcmul(pixels, noise, deviations.view(-1, 1, 1, 1)).clamp_(0, 255)
