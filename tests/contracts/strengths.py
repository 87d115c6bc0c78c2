"""Strengths to try augmentations with: a new one needs an example here."""

from collections.abc import Mapping
from typing import Any

EXAMPLES: Mapping[str, Any] = {
    "balanced_crop": 0.35,
    "blur": 1.5,
    "classmix": 0.5,
    "colour": 0.4,
    "crop": (24, 32),
    "cutmix": 0.5,
    "cutout": 0.4,
    "flip": 0.5,
    "gamma": 0.5,
    "grayscale": 0.5,
    "hue": 0.1,
    "noise": 10.0,
    "policy": 0.5,
    "rare_crop": 1.0,
    "rotate": 10.0,
    "scale": (0.5, 2.0),
    "shear": 10.0,
    "translate": 0.2,
    "vflip": 0.5,
}
# The augmentations without which another has nothing to act on.
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "balanced_crop": {"crop": (16, 16)},
    "rare_crop": {"crop": (16, 16)},
}
