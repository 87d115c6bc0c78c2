"""Take away all colour with this probability."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "colour"
ORDER = 30
DRAWS = 1
_LUMA = np.array([0.299, 0.587, 0.114])


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×4×4 of homogeneous RGB from 0 to 255, and the size unchanged.

    Grey is the luma of ITU-R BT.601.
    """
    maps = np.tile(np.eye(4), (len(draws), 1, 1))
    maps[draws[:, 0] < strength, :3, :3] = _LUMA
    return maps, size
