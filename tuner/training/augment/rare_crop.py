"""Aim a window of `crop` or `scale` at one class, each as likely as another, this often."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tuner.training.augment import _grain
from tuner.training.batches import windows
from tuner.training.ignore import IGNORE

ACTS_ON = "choice"
ORDER = 20
DRAWS = 2
_ENOUGH = 0.1  # of a window's points, or aiming at a common class would drive out the rare ones


def build(
    draws: NDArray[np.float64],
    seen: Tensor,
    *,
    strength: Annotated[float, Field(ge=0, le=1)] = 0.0,
) -> Tensor:
    """Cost N×K of each window, from labels N×K×P of points in it: what the class lacks there.

    The class is drawn from those in any of the K windows, however few points they have: the
    class-uniform sampling of Zhu et al. 2019, within an image.
    """
    points = windows.counts(seen)
    lots = _grain.bits(draws[:, 1], IGNORE, seen.device)
    target = lots.masked_fill(points.sum(dim=1) == 0, -1).argmax(dim=1)
    hits = points.gather(2, target.view(-1, 1, 1).expand(-1, points.shape[1], 1)).squeeze(2)
    lacking = (1 - hits / (_ENOUGH * seen.shape[2])).clamp(min=0)
    happens = torch.from_numpy(draws[:, 0] < strength).to(seen.device, non_blocking=True)
    return torch.where(happens[:, None], lacking, 0.0)
