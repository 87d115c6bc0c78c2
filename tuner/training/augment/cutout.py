"""Hide a box of up to this share of the height and of the width; what is hidden is ignored."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.augment import _boxes

ACTS_ON = "hole"
ORDER = 10
DRAWS = 4


def build(
    draws: NDArray[np.float64],
    labels: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Tensor:
    """Mask N×h×w of what is hidden; the box's centre lies anywhere (DeVries and Taylor 2017)."""
    return _boxes.inside(draws[:, :2] * strength, draws[:, 2:], labels)
