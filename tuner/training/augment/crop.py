"""Train on random windows of this height and width instead of whole images."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "position"
ORDER = 40
DRAWS = 2
PLACES = (0, 1)


def build(
    draws: NDArray[np.float64],
    size: tuple[int, int],
    *,
    strength: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] | None = None,
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Maps N×3×3 from output to input pixels about the centre, and the output size.

    A window larger than the image is filled with ignored pixels.
    """
    window = strength or size
    maps = np.tile(np.eye(3), (len(draws), 1, 1))
    for axis, (whole, part) in ((0, (size[1], window[1])), (1, (size[0], window[0]))):
        # Whole pixels, so that a crop alone copies and never blurs.
        first = np.floor(draws[:, axis] * (abs(whole - part) + 1)) + min(whole - part, 0)
        maps[:, axis, 2] = first + (part - whole) / 2
    return maps, (window[0], window[1])
