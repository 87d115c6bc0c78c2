"""Whether a network is as often right as it says: the expected calibration error.

ECE with 15 bins of equal width over the confidence, which is the highest probability of a pixel
(Naeini et al. 2015; Guo et al. 2017): the mean gap between confidence and accuracy over the bins,
weighed by their pixels. Ignored pixels count nowhere.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BINS = 15


@dataclass(frozen=True, slots=True)
class Calibration:
    """Pixels, mean confidence and accuracy of each bin; the last two are 0 in an empty bin."""

    pixels: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def ece(self) -> float:
        """The expected calibration error; NaN without a pixel."""
        total = sum(self.pixels)
        gaps = zip(self.pixels, self.confidence, self.accuracy, strict=True)
        return sum(n * abs(c - a) for n, c, a in gaps) / total if total else float("nan")

    @property
    def mean_confidence(self) -> float:
        """Mean confidence over all pixels; above the accuracy the network is overconfident."""
        total = sum(self.pixels)
        shares = zip(self.pixels, self.confidence, strict=True)
        return sum(n * c for n, c in shares) / total if total else float("nan")


class Reliability:
    """Adds up pixels by confidence."""

    def __init__(self) -> None:
        self._pixels = np.zeros(BINS, dtype=np.int64)
        self._right = np.zeros(BINS, dtype=np.int64)
        self._confidence = np.zeros(BINS)

    def add(self, confidence: Tensor, is_right: Tensor) -> None:
        """Count pixels: how sure the network was of each, and whether it was right."""
        # Bin k holds confidences above k/15, up to (k+1)/15.
        bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
        self._pixels += torch.bincount(bins, minlength=BINS).cpu().numpy()
        self._right += torch.bincount(bins[is_right], minlength=BINS).cpu().numpy()
        # A weighted histogram would add up in any order on a GPU.
        sums = [confidence[bins == k].double().sum() for k in range(BINS)]
        self._confidence += torch.stack(sums).cpu().numpy()

    def result(self) -> Calibration:
        """The bins so far."""
        some = np.maximum(self._pixels, 1)
        return Calibration(
            tuple(self._pixels.tolist()),
            tuple((self._confidence / some).tolist()),
            tuple((self._right / some).tolist()),
        )
