"""Mirror left and right with this probability."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "position"
ORDER = 10
DRAWS = 1


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×3×3 from output to input pixels about the centre, and the output size."""
    maps = np.tile(np.eye(3), (len(draws), 1, 1))
    maps[:, 0, 0] = np.where(draws[:, 0] < strength, -1.0, 1.0)
    return maps, size
