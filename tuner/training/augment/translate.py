"""Move by up to this share of the height and of the width; what comes in is ignored."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "position"
ORDER = 25
DRAWS = 2


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×3×3 from output to input pixels about the centre, and the output size."""
    maps = np.tile(np.eye(3), (len(draws), 1, 1))
    # Whole pixels, so that a translation alone copies and never blurs.
    maps[:, :2, 2] = np.round((2 * draws - 1) * strength * np.array([size[1], size[0]]))
    return maps, size
