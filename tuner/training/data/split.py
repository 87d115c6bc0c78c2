"""What a data set format hands over: a list of images with masks, read one at a time.

A pixel value means the same for every depth of file: 0 is black and 255 is white. Images of
8 bits stay bytes; deeper ones become float32 on that scale, so that no digit is lost and colour
augmentation and statistics need not know where an image came from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8] | NDArray[np.float32]  # height × width × channels, 0 … 255
Mask = NDArray[np.integer]  # height × width; a class, or the data set's ignore_index
DType = Literal["uint8", "float32"]


@dataclass(frozen=True, slots=True)
class Split:
    """The training, validation or test part of a data set.

    `key` changes when the files change, at no more cost than listing them; `read` decodes one pair
    and raises DataError where it cannot. Every image has `channels` channels of type `dtype`.
    `palettes` are the mask files whose palette index is a label; `notes` say what a user should
    know of how the files are read.
    `files` are those of each sample, its image first; a split that draws its images has none.
    Samples at the positions `untrained` may validate, but no training part takes them.
    """

    names: tuple[str, ...]
    key: str
    read: Callable[[int], tuple[ImageArray, Mask]]
    channels: int = 3
    dtype: DType = "uint8"
    files: tuple[tuple[Path, ...], ...] = ()
    untrained: frozenset[int] = frozenset()
    palettes: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)
