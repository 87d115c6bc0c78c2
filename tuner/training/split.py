"""What a data set format hands over: a list of images with masks, read one at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # height × width × 3
Mask = NDArray[np.integer]  # height × width; a class, or the data set's ignore_index


@dataclass(frozen=True, slots=True)
class Split:
    """The training or validation part of a data set.

    `key` changes when the files change, at no more cost than listing them; `read` decodes one pair
    and raises DataError where it cannot.
    """

    names: tuple[str, ...]
    key: str
    read: Callable[[int], tuple[Picture, Mask]]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)
