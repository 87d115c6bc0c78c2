"""Applies augmentations to a batch: one colour matrix and one affine resampling per image.

Each augmentation file turns its own counted draws into small matrices. Their products are applied
once, on the training device: images bilinearly, labels by nearest neighbour, and what lies outside
the source gets the mean colour and the label "ignore".
"""

from collections.abc import Mapping
from functools import reduce
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tuner import catalog
from tuner.training import draws
from tuner.training.ignore import IGNORE

Matrices = NDArray[np.float64]
Size = tuple[int, int]


class Augmentation:
    """The augmentations of one config that are not off."""

    def __init__(self, strengths: Mapping[str, Any], *, seed: int, size: Size) -> None:
        self._seed = seed
        self._size = size
        self._active: list[tuple[str, ModuleType, Any]] = []
        for name, component in catalog.components("augment").items():
            option = component.options["strength"]
            strength, _ = option.check(strengths.get(name, option.default))
            if strength != option.default:
                self._active.append((name, catalog.load("augment", name), strength))
        self._active.sort(key=lambda entry: (entry[1].ORDER, entry[0]))

    def __call__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        epoch: int,
        indices: NDArray[np.int64],
        fill: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Augmented batch: images N×3×h×w of float in 0 … 255, labels N×h×w of int64.

        Takes images N×3×H×W and labels N×H×W of uint8, the samples' indices, and the mean colour.
        """
        positions, size = self.maps("position", epoch=epoch, indices=indices)
        colours, _ = self.maps("colour", epoch=epoch, indices=indices)
        pixels = images.float()
        if colours is not None:
            pixels = recolour(pixels, colours)
        if positions is None:
            return pixels, labels.long()
        return resample(pixels, labels, positions, size, fill=fill)

    def maps(
        self, acts_on: str, *, epoch: int, indices: NDArray[np.int64]
    ) -> tuple[Matrices | None, Size]:
        """Product of the matrices that act on positions or colours, and the output size."""
        size, found = self._size, []
        for name, module, strength in self._active:
            if acts_on != module.ACTS_ON:
                continue
            numbers = draws.uniforms(self._seed, epoch, name, indices=indices, count=module.DRAWS)
            matrices, size = module.build(numbers, size, strength=strength)
            found.append(matrices)
        if not found:
            return None, size
        # Positions map output to input, so the last step of the pipeline stands rightmost.
        ordered = found if acts_on == "position" else found[::-1]
        return reduce(np.matmul, ordered), size


def recolour(pixels: Tensor, colours: Matrices) -> Tensor:
    """Apply N×4×4 homogeneous colour matrices to N×3×H×W pixels in 0 … 255."""
    matrix = torch.from_numpy(colours[:, :3].astype(np.float32)).to(pixels.device)
    flat = pixels.flatten(2)
    changed = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], flat).clamp_(0, 255)
    return changed.view(pixels.shape[0], 3, *pixels.shape[2:])


def resample(
    pixels: Tensor, labels: Tensor, positions: Matrices, size: Size, *, fill: Tensor
) -> tuple[Tensor, Tensor]:
    """Move N×3×H×W pixels and N×H×W labels by N×3×3 maps from output to input pixels."""
    height, width = pixels.shape[-2:]
    to_pixels = np.diag([size[1] / 2, size[0] / 2, 1.0])
    to_unit = np.diag([2 / width, 2 / height, 1.0])
    theta = torch.from_numpy((to_unit @ positions @ to_pixels)[:, :2].astype(np.float32))
    grid = functional.affine_grid(
        theta.to(pixels.device), [len(pixels), 3, *size], align_corners=False
    )
    colour = fill.view(1, 3, 1, 1)
    moved = functional.grid_sample(pixels - colour, grid, mode="bilinear", align_corners=False)
    # grid_sample fills the outside with 0, so labels are shifted to make 0 mean "ignore".
    shifted = (labels.to(torch.float32) - IGNORE).unsqueeze(1)
    chosen = functional.grid_sample(shifted, grid, mode="nearest", align_corners=False)
    return moved + colour, (chosen.squeeze(1).round() + IGNORE).long()
