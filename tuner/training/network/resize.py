"""Bilinear resizing of feature maps, with a gradient that can be exact.

With `align_corners` the centres of the corner pixels coincide, else the edges of the images do, as
they do where masks and images are resized.

On CUDA under deterministic algorithms torch replaces the gradient of `interpolate` by a slow
scatter. Two products with fixed one-dimensional interpolation matrices, A·X·Bᵀ, give the same
values to 5e-7 and their gradient is again two products.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from tuner.spec.config import Size


def resize(features: Tensor, size: Size, *, align_corners: bool = False) -> Tensor:
    """Resize N×C×H×W to N×C×size."""
    if features.shape[-2:] == size:
        return features
    if features.is_cuda and torch.are_deterministic_algorithms_enabled():
        return resize_by_matrices(features, size, align_corners=align_corners)
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=align_corners)


def resize_by_matrices(features: Tensor, size: Size, *, align_corners: bool = False) -> Tensor:
    """Resize N×C×H×W to N×C×size by two matrix products."""
    how = (align_corners, str(features.device), features.dtype)
    down = _matrix(features.shape[-2], size[0], *how)
    across = _matrix(features.shape[-1], size[1], *how)
    return down @ features @ across.T


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a matrix made while scoring must serve a backward pass later
def _matrix(old: int, new: int, aligned: bool, device: str, dtype: torch.dtype) -> Tensor:
    """Weights of shape new×old; at most two per row differ from zero."""
    position = torch.arange(new, dtype=torch.float64)
    if aligned:
        position = position * (old - 1) / max(new - 1, 1)
    else:
        position = ((position + 0.5) * (old / new) - 0.5).clamp(min=0)
    low = position.floor().long().clamp(max=old - 1)
    high = (low + 1).clamp(max=old - 1)
    share = position - low
    rows = torch.arange(new)
    matrix = torch.zeros(new, old, dtype=torch.float64)
    matrix.index_put_((rows, low), 1 - share, accumulate=True)
    matrix.index_put_((rows, high), share, accumulate=True)
    return matrix.to(device=device, dtype=dtype)
