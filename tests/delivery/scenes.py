"""A predictor whose answers a test knows, and parts of a few small images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tests.training.samples import CLASSES
from tuner.spec.config import DatasetConfig, Size
from tuner.training.data.cache import open_decoded
from tuner.training.data.parts import Part
from tuner.training.data.split import ImageArray, Split
from tuner.training.ignore import IGNORE

SHADES = (0, 100, 200)  # the red of each class


def by_red(images: Tensor) -> Tensor:
    """Logits of three classes: the nearer the red is to a class's shade, the higher."""
    red = images[:, :1]
    return torch.cat([-(red - shade).abs() / 10 for shade in SHADES], dim=1)


@dataclass(frozen=True)
class Known:
    """A predictor of one function; it counts nothing and learns nothing."""

    of: Callable[[Tensor], Tensor] = by_red
    classes: tuple[str, ...] = CLASSES
    channels: int = 3
    size: Size = (24, 32)
    align_corners: bool = False
    name: str = "known"
    dataset: DatasetConfig | None = None

    def logits(self, images: Tensor) -> Tensor:
        """What the function says."""
        return self.of(images)


def coarse(images: Tensor) -> Tensor:
    """As `by_red`, at a quarter of the sides."""
    return functional.avg_pool2d(by_red(images), 4)


def painted(mask: np.ndarray) -> ImageArray:
    """An image whose red says the class; what is ignored looks like class 0."""
    shades = np.zeros(IGNORE + 1, dtype=np.uint8)
    shades[: len(SHADES)] = SHADES
    return np.repeat(shades[mask][..., None], 3, axis=2)


def part(
    folder: Path, masks: Sequence[np.ndarray], *, size: Size = (24, 32), key: str = "a"
) -> Part:
    """A part of images that are painted as their masks say."""
    names = tuple(f"scene{index}" for index in range(len(masks)))
    split = Split(names, key, lambda index: (painted(masks[index]), masks[index].astype(np.int32)))
    dataset = DatasetConfig(classes=CLASSES, size=size)
    return Part("val", open_decoded(split, dataset, folder, resize_labels=False), split)


def mask(rows: int = 24, columns: int = 32, seed: int = 0, *, ignored: bool = True) -> np.ndarray:
    """A mask of boxes of three classes, with some ignored pixels."""
    numbers = np.random.default_rng(seed)
    found = np.zeros((rows, columns), dtype=np.uint8)
    for _ in range(6):
        top, left = numbers.integers(0, rows - 4), numbers.integers(0, columns - 4)
        high, wide = numbers.integers(3, rows // 2), numbers.integers(3, columns // 2)
        found[top : top + high, left : left + wide] = numbers.integers(0, 3)
    if ignored:
        found[:2, :5] = IGNORE
        found[rows // 2, columns // 2] = IGNORE
    return found
