"""The one affine resampling of a batch, and the Gaussian filter that goes before a shrinking."""

from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tuner.spec.config import Size
from tuner.training.ignore import IGNORE

Matrices = NDArray[np.float64]
# Input pixels per output pixel from which an image is filtered before it is sampled.
_SHRUNK = 1.1
_REACH = 3.0  # of the Gaussian, in standard deviations


def thetas(positions: Matrices, size: Size, source: Size) -> NDArray[np.float32]:
    """Maps …×3×3 from output to input pixels as torch's …×2×3 maps between unit squares."""
    to_pixels = np.diag([size[1] / 2, size[0] / 2, 1.0])
    to_unit = np.diag([2 / source[1], 2 / source[0], 1.0])
    units: NDArray[np.float32] = (to_unit @ positions @ to_pixels)[..., :2, :].astype(np.float32)
    return units


def shrinkage(positions: Matrices) -> NDArray[np.float64]:
    """Input pixels per output pixel, along one axis, of N×3×3 maps from output to input."""
    found: NDArray[np.float64] = np.sqrt(np.abs(np.linalg.det(positions[:, :2, :2])))
    return found


def resample(
    pixels: Tensor, labels: Tensor, theta: Tensor, size: Size, *, fill: Tensor
) -> tuple[Tensor, Tensor]:
    """Move N×C×H×W pixels and N×H×W labels by N×2×3 maps between unit squares, to `size`.

    Pixels are taken bilinearly and labels by nearest neighbour; what lies outside the source gets
    the colour `fill`, of shape C, and the label "ignore".
    """
    grid = functional.affine_grid(theta, [len(pixels), 1, *size], align_corners=False)  # N×h×w×2
    colour = fill.view(1, -1, 1, 1)
    # Outside is 0 to grid_sample, so they are shifted by the colour and back.
    moved = functional.grid_sample(pixels - colour, grid, mode="bilinear", align_corners=False)
    return moved + colour, pick(labels, grid)


def pick(labels: Tensor, grid: Tensor) -> Tensor:
    """Labels N×h×w of int64 at the points N×h×w×2 of N×H×W labels; outside is "ignore"."""
    # grid_sample fills the outside with 0, so labels are shifted to make 0 mean "ignore".
    shifted = (labels.to(torch.float32) - IGNORE).unsqueeze(1)
    chosen = functional.grid_sample(shifted, grid, mode="nearest", align_corners=False)
    return (chosen.squeeze(1).round() + IGNORE).long()


def smooth(pixels: Tensor, shrink: NDArray[np.float64]) -> Tensor:
    """Filter those N×C×H×W images that are about to shrink, so that sampling does not alias.

    The variance is what a triangle filter as wide as `shrink` has beyond bilinear sampling, so
    that the result is as sharp as an antialiased bilinear resizing.
    """
    rows = np.flatnonzero(shrink > _SHRUNK)
    if not len(rows):
        return pixels
    where = torch.from_numpy(rows).to(pixels.device, non_blocking=True)
    filtered = blur(pixels[where], np.sqrt((shrink[rows] ** 2 - 1) / 6))
    return pixels.index_copy(0, where, filtered)


def blur(pixels: Tensor, stds: NDArray[np.float64]) -> Tensor:
    """Gaussian filter of N×C×H×W images, with a std in pixels for each; 0 copies."""
    reach = np.ceil(_REACH * stds)
    radius = ceil(float(reach.max(initial=0)))
    offsets = np.arange(-radius, radius + 1)
    spread = np.maximum(stds, 1e-6)[:, None]
    weights = np.exp(-0.5 * (offsets / spread) ** 2)
    # Beyond its own reach a sample gets exact zeros: the batch has no say in it.
    weights = np.where(np.abs(offsets) <= reach[:, None], weights, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    taps = torch.from_numpy(weights.astype(np.float32)).to(pixels.device, non_blocking=True)
    across = functional.pad(pixels, (radius, radius, 0, 0), mode="replicate")
    pixels = _weighted(across, taps, dim=3)
    down = functional.pad(pixels, (0, 0, radius, radius), mode="replicate")
    return _weighted(down, taps, dim=2)


def _weighted(padded: Tensor, taps: Tensor, *, dim: int) -> Tensor:
    """Sum of shifted copies; a shift at a time, so that every sample adds in the same order."""
    length = padded.shape[dim] - taps.shape[1] + 1
    total = torch.zeros_like(padded.narrow(dim, 0, length))
    for tap in range(taps.shape[1]):
        total.addcmul_(padded.narrow(dim, tap, length), taps[:, tap].view(-1, 1, 1, 1))
    return total
