"""Enlarge or shrink by a factor between these two, then look at a random part of the result."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "position"
ORDER = 30
DRAWS = 3
PLACES = (1, 2)


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: tuple[Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]] = (
        1.0,
        1.0,
    ),
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×3×3 from output to input pixels about the centre, and the output size.

    A shrunk image lies whole at a random place in the frame; the rest of the frame is ignored.
    """
    low, high = sorted(strength)
    factor = low + draws[:, 0] * (high - low)
    maps = np.tile(np.eye(3), (len(draws), 1, 1))
    maps[:, 0, 0] = maps[:, 1, 1] = 1 / factor
    for axis, length in ((0, size[1]), (1, size[0])):
        room = np.abs(1 - 1 / factor) * length
        maps[:, axis, 2] = (draws[:, 1 + axis] - 0.5) * room
    return maps, size
