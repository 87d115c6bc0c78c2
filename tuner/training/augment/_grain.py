"""Counted randomness on the training device: one number per pixel or class of a sample.

The hash is `lowbias32` of the Hash Prospector (Wellons 2018), in integers, so that it gives the
same bits on every device.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_WORD = 0xFFFFFFFF
# Four uniform bytes summed: mean and deviation of the sum.
_BYTES_MEAN = 4 * 127.5
_BYTES_DEVIATION = (4 * (256**2 - 1) / 12) ** 0.5


def bits(draws: NDArray[np.float64], count: int, device: torch.device) -> Tensor:
    """Numbers in 0 … 2³²-1 of shape len(draws)×count; each depends on its draw and column."""
    keys = torch.from_numpy((draws * 2.0**32).astype(np.int64)).to(device, non_blocking=True)
    columns = torch.arange(1, count + 1, device=device, dtype=torch.int64) * 0x9E3779B9
    word = (keys[:, None] ^ columns) & _WORD
    word = ((word ^ (word >> 16)) * 0x7FEB352D) & _WORD
    word = ((word ^ (word >> 15)) * 0x846CA68B) & _WORD
    return word ^ (word >> 16)


def normals(draws: NDArray[np.float64], count: int, device: torch.device) -> Tensor:
    """Nearly normal numbers of shape len(draws)×count, mean 0, deviation 1, at most 3.5 in size."""
    word = bits(draws, count, device)
    total = (word & 0xFF) + ((word >> 8) & 0xFF) + ((word >> 16) & 0xFF) + (word >> 24)
    return (total.float() - _BYTES_MEAN) / _BYTES_DEVIATION
