"""Two of nine augmentations for each image, all as strong as this one number says."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

ACTS_ON = "policy"
ORDER = 0
DRAWS = 9
_CHOSEN = 2


def build(
    draws: NDArray[np.float64],
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Mapping[str, tuple[Any, NDArray[np.bool_]]]:
    """Strength of each augmentation, and for which of the N samples it is chosen.

    RandAugment (Cubuk et al. 2020) with N = 2, over operations that keep to one resampling; what
    is not in it, such as `flip` and `crop`, is set beside it and acts on every image.
    """
    strengths = _strengths(strength)
    ranks = draws.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return {
        name: (value, ranks[:, column] < _CHOSEN)
        for column, (name, value) in enumerate(strengths.items())
    }


def _strengths(magnitude: float) -> dict[str, Any]:
    return {
        "rotate": 30 * magnitude,
        "scale": (1 / (1 + magnitude), 1 + magnitude),
        "translate": 0.3 * magnitude,
        "shear": 20 * magnitude,
        "colour": 0.8 * magnitude,
        "hue": 0.15 * magnitude,
        "gamma": 1.0 * magnitude,
        "blur": 2.0 * magnitude,
        "noise": 25 * magnitude,
    }
