"""A window that slides over an image: places, weights, and probabilities that blend.

The Gaussian weights are nnU-Net's (Isensee et al. 2021): a deviation of an eighth of the window.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from tuner.spec.config import Size
from tuner.training.network.resize import resize

Blend = Literal["gaussian", "linear"]
_DEVIATION = 1 / 8


@dataclass(frozen=True, slots=True)
class Sliding:
    """How windows overlap and blend; `at_once` of them pass the network together."""

    overlap: float
    blend: Blend
    align_corners: bool
    at_once: int


def starts(length: int, window: int, overlap: float) -> list[int]:
    """Where windows begin along a side: at even steps, the last one at the end."""
    stride = max(1, round(window * (1 - overlap)))
    last = max(length - window, 0)
    return sorted({*range(0, last + 1, stride), last})


def weights(size: Size, blend: Blend) -> Tensor:
    """Weights of a window's pixels: highest in the middle, nowhere zero."""
    return torch.outer(*(_along(side, blend) for side in size))


def _along(side: int, blend: Blend) -> Tensor:
    places = torch.arange(side, dtype=torch.float32) + 0.5
    if blend == "linear":
        return 1 - (2 * places / side - 1).abs() + 1 / side
    return torch.exp(-0.5 * ((places - side / 2) / (side * _DEVIATION)) ** 2)


def blended(
    logits_of: Callable[[Tensor], Tensor], images: Tensor, window: Size, sliding: Sliding
) -> Tensor:
    """Probabilities N×K×H×W of images N×C×H×W; each is seen by every window that holds it.

    An image that is smaller than the window is continued by its last rows and columns.
    """
    height, width = images.shape[-2:]
    below, beside = max(window[0] - height, 0), max(window[1] - width, 0)
    if below or beside:
        images = functional.pad(images, (0, beside, 0, below), mode="replicate")
    places = [
        (index, top, left)
        for index in range(len(images))
        for top in starts(images.shape[-2], window[0], sliding.overlap)
        for left in starts(images.shape[-1], window[1], sliding.overlap)
    ]
    total: Tensor | None = None
    share = weights(window, sliding.blend)
    for first in range(0, len(places), sliding.at_once):
        some = places[first : first + sliding.at_once]
        batch = torch.stack([images[(i, ..., *_area(top, left, window))] for i, top, left in some])
        logits = resize(logits_of(batch), window, align_corners=sliding.align_corners)
        found = logits.softmax(dim=1)
        if total is None:
            share = share.to(found.device)
            total = found.new_zeros(len(images), found.shape[1] + 1, *images.shape[-2:])
        for (index, top, left), each in zip(some, found, strict=True):
            area = (index, ..., *_area(top, left, window))
            total[area] += torch.cat((each * share, share[None]))  # the last one sums up weights
    assert total is not None
    return (total[:, :-1] / total[:, -1:])[..., :height, :width]


def _area(top: int, left: int, window: Size) -> tuple[slice, slice]:
    return slice(top, top + window[0]), slice(left, left + window[1])
