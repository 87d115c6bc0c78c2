"""Chooses among random windows of an image by what the labels in them are.

Every candidate is looked at through a coarse raster of points, on the training device, so that
the choice costs next to nothing and nobody waits for its result.
"""

import torch
from torch import Tensor
from torch.nn import functional

from tuner.training.batches.warp import pick
from tuner.training.ignore import IGNORE

CANDIDATES = 8
_RASTER = 16


def look(labels: Tensor, thetas: Tensor) -> Tensor:
    """Labels N×K×P of P points in each of K windows N×K×2×3 of labels N×H×W."""
    samples, count = thetas.shape[:2]
    shape = [samples * count, 1, _RASTER, _RASTER]
    grid = functional.affine_grid(thetas.flatten(0, 1), shape, align_corners=False)
    seen = pick(labels, grid.view(samples, count * _RASTER, _RASTER, 2))
    return seen.view(samples, count, _RASTER * _RASTER)


def counts(seen: Tensor) -> Tensor:
    """Points of each class, N×K×255, of labels N×K×P; ignored points are of none."""
    classes = torch.arange(IGNORE, device=seen.device)
    return (seen.unsqueeze(-1) == classes).sum(dim=-2)


def best(thetas: Tensor, costs: Tensor) -> Tensor:
    """The window N×2×3 of the least cost N×K; of several the first."""
    rows = torch.arange(len(thetas), device=thetas.device)
    return thetas[rows, costs.argmin(dim=1)]
