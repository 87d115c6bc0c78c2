"""Bend the tone curve by an exponent between 1 / (1 + this) and 1 + this."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

ACTS_ON = "pixels"
ORDER = 10
DRAWS = 1


def build(
    draws: NDArray[np.float64],
    pixels: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=4)] = 0.0,
) -> Tensor:
    """Pixels N×C×h×w in 0 … 255, changed; black and white stay."""
    exponents = (1 + strength) ** (2 * draws[:, :1] - 1)
    powers = torch.from_numpy(exponents.astype(np.float32)).to(pixels.device, non_blocking=True)
    return (pixels / 255).clamp(0, 1).pow(powers.view(-1, 1, 1, 1)) * 255
