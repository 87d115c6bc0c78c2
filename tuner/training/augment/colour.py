"""Change brightness, contrast and saturation, each by up to this share."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "colour"
ORDER = 10
DRAWS = 3
_LUMA = np.array([0.299, 0.587, 0.114])
_MIDDLE = 127.5


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×4×4 of homogeneous RGB from 0 to 255, and the size unchanged.

    Contrast turns about middle grey and saturation about the luma of ITU-R BT.601.
    """
    brightness, contrast, saturation = (1 + (2 * draws - 1) * strength).T
    maps = np.tile(np.eye(4), (len(draws), 1, 1))
    mixed = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * _LUMA
    maps[:, :3, :3] = (brightness * contrast)[:, None, None] * mixed
    maps[:, :3, 3] = ((1 - contrast) * _MIDDLE)[:, None]
    return maps, size
