"""Paste half of the classes of another training image with this probability."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.augment import _grain
from tuner.training.ignore import IGNORE

ACTS_ON = "mix"
ORDER = 20
DRAWS = 3


def build(
    draws: NDArray[np.float64],
    labels: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Tensor:
    """Mask N×h×w of what comes from the other image, whose labels are N×h×w.

    Half of the classes in it, rounded up, without what is ignored (Olsson et al. 2021).
    """
    pasted = torch.zeros(len(labels), IGNORE + 1, dtype=torch.bool, device=labels.device)
    pasted.scatter_(1, labels.flatten(1), True)
    pasted[:, IGNORE] = False
    lots = _grain.bits(draws[:, 2], IGNORE + 1, labels.device).masked_fill(~pasted, 2**32)
    ranks = lots.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    pasted &= ranks < (pasted.sum(dim=1, keepdim=True) + 1) // 2
    happens = torch.from_numpy(draws[:, :1] < strength).to(labels.device, non_blocking=True)
    return (pasted & happens).gather(1, labels.flatten(1)).view_as(labels)
