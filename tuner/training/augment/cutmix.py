"""Paste a box of another training image with this probability."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.augment import _boxes

ACTS_ON = "mix"
ORDER = 10
DRAWS = 5


def build(
    draws: NDArray[np.float64],
    labels: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Tensor:
    """Mask N×h×w of what comes from the other image, whose labels are N×h×w.

    The box has the image's shape, an area between nothing and all, and its centre anywhere
    (Yun et al. 2019, with Beta(1, 1)).
    """
    area = np.where(draws[:, :1] < strength, draws[:, 2:3], 0.0)
    return _boxes.inside(np.repeat(np.sqrt(area), 2, axis=1), draws[:, 3:], labels)
