"""Boxes in a frame, as masks on the training device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def inside(sides: NDArray[np.float64], centres: NDArray[np.float64], frame: Tensor) -> Tensor:
    """Mask like `frame`, N×h×w, of boxes by sides and centres N×2, in shares of h and w.

    A box ends at the frame's edge; one without area covers nothing.
    """
    masks = []
    for axis, length in enumerate(frame.shape[1:]):
        pixels = (np.arange(length) + 0.5) / length
        distance = np.abs(pixels - centres[:, axis : axis + 1])
        masks.append(
            torch.from_numpy(distance < sides[:, axis : axis + 1] / 2).to(
                frame.device, non_blocking=True
            )
        )
    return masks[0][:, :, None] & masks[1][:, None, :]
