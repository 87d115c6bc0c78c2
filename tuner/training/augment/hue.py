"""Turn the hue by up to this share of the colour circle either way."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "colour"
ORDER = 20
DRAWS = 1
# NTSC: luma, and two axes of chroma.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_TO_RGB = np.linalg.inv(_TO_YIQ)


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: Annotated[float, Field(ge=0, le=0.5)] = 0.0,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×4×4 of homogeneous RGB from 0 to 255, and the size unchanged.

    A rotation of the chroma plane of YIQ: luma stays, and grey stays grey.
    """
    angle = 2 * np.pi * (2 * draws[:, 0] - 1) * strength
    turn = np.tile(np.eye(3), (len(draws), 1, 1))
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2] = -np.sin(angle)
    turn[:, 2, 1] = np.sin(angle)
    maps = np.tile(np.eye(4), (len(draws), 1, 1))
    maps[:, :3, :3] = _TO_RGB @ turn @ _TO_YIQ
    return maps, size
