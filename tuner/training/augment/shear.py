"""Slant both axes by up to this many degrees either way; corners without a source are ignored."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "position"
ORDER = 22
DRAWS = 2


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: Annotated[float, Field(ge=0, le=40)] = 0.0,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×3×3 from output to input pixels about the centre, and the output size."""
    slants = np.tan(np.deg2rad((2 * draws - 1) * strength))
    maps = np.tile(np.eye(3), (len(draws), 1, 1))
    maps[:, 0, 1], maps[:, 1, 0] = slants.T
    return maps, size
