"""Procedural street scenes, drawn on demand: nothing to download, the same on every machine.

Large sky, road and buildings, thin poles, rare cyclists, and an unlabelled frame. Without `classes`
there is one for each painter; a class takes the painter of its own name, or else the first that no
other class has taken.
"""

from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field

from tuner.spec.config import DatasetConfig
from tuner.training import draws
from tuner.training.data.split import ImageArray, Mask, Split
from tuner.training.datasets._painters import PAINTERS

# fmt: off
CLASSES = (
    "sky", "building", "road", "pavement", "tree", "fence", "pole", "sign", "car", "pedestrian",
    "cyclist",
)
# fmt: on
OTHER_CLASSES = True  # a study may name any number of its own
_DRAWS = 8


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[object, ...],
    *,
    train: Annotated[int, Field(ge=1, le=100_000)] = 64,
    val: Annotated[int, Field(ge=1, le=100_000)] = 16,
    test: Annotated[int, Field(ge=1, le=100_000)] = 16,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> Split:
    """Scenes of the data set's own size; no two splits share a scene."""
    length = {"train": train, "val": val, "test": test}[split]
    names = tuple(f"{split}-{index:05d}" for index in range(length))
    key = f"synthetic/1/{split}/{length}/{seed}/{dataset.size}/{dataset.classes}"
    roles = _roles(dataset.classes)
    return Split(names, key, partial(_paint, dataset, roles, f"{seed}/{split}"))


def _roles(classes: tuple[str, ...]) -> dict[str, int]:
    """Label by painter; classes beyond the painters are never drawn."""
    roles = {name: label for label, name in enumerate(classes) if name in PAINTERS}
    spare = iter([name for name in PAINTERS if name not in roles])
    for label, name in enumerate(classes):
        if name not in PAINTERS and (painter := next(spare, None)):
            roles[painter] = label
    return roles


def _paint(
    dataset: DatasetConfig, roles: dict[str, int], stream: str, index: int
) -> tuple[ImageArray, Mask]:
    height, width = dataset.size
    canvas = np.empty((height, width, 3), dtype=np.float32)
    canvas[:] = (110, 110, 110)
    mask = np.zeros((height, width), dtype=np.int32)
    ground = np.array([index], dtype=np.int64)
    horizon = 0.4 + 0.15 * draws.uniforms(stream, "horizon", indices=ground, count=1)[0, 0]
    for painter, (colour, chance) in PAINTERS.items():
        if painter not in roles:
            continue
        numbers = draws.uniforms(stream, painter, indices=ground * 16 + np.arange(4), count=_DRAWS)
        for number in numbers[: _count(painter, numbers[0, 0], chance)]:
            area = _area(painter, number, horizon, (height, width))
            mask[area] = roles[painter]
            canvas[area] = np.array(colour) + 50 * (number[6] - 0.5)
    light = draws.uniforms(stream, "light", indices=ground, count=2)[0]
    pixels = np.arange(height * width * 3, dtype=np.int64)
    grain = draws.uniforms(stream, "grain", index, indices=pixels, count=1).reshape(canvas.shape)
    shade = np.linspace(0.85 + 0.3 * light[0], 1.0, height)[:, None, None]
    image = canvas * shade + 30 * (light[1] - 0.5) + 36 * (grain - 0.5)
    frame = max(1, height // 60)
    mask[:frame], mask[-frame:] = dataset.ignore_index, dataset.ignore_index
    mask[:, :frame], mask[:, -frame:] = dataset.ignore_index, dataset.ignore_index
    return image.clip(0, 255).astype(np.uint8), mask


def _count(painter: str, number: float, chance: float) -> int:
    """How many of this kind stand in a scene: one plane, or none to four things."""
    if painter in ("sky", "road", "pavement"):
        return 1
    return 0 if number >= chance else 1 + int(4 * number / chance) % 4


def _area(
    painter: str, number: np.ndarray, horizon: float, size: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns that one thing covers; things are boxes that stand on the ground."""
    planes = {"sky": (0.0, horizon), "pavement": (horizon, horizon + 0.2), "road": (horizon, 1.0)}
    if painter in planes:
        return _box(*planes[painter], 0.0, 1.0, size)
    tall, wide, foot = {
        "building": (0.35, 0.25, 0.02),
        "tree": (0.30, 0.10, 0.05),
        "fence": (0.08, 0.30, 0.06),
        "pole": (0.45, 0.012, 0.12),
        "sign": (0.08, 0.05, -0.2),
        "car": (0.14, 0.20, 0.30),
        "pedestrian": (0.22, 0.04, 0.25),
        "cyclist": (0.20, 0.07, 0.30),
    }[painter]
    tall, wide = tall * (0.6 + 0.8 * number[1]), wide * (0.6 + 0.8 * number[2])
    bottom = horizon + foot + 0.15 * number[3] * (foot > 0.1)
    left = number[4] * (1 - wide)
    return _box(bottom - tall, bottom, left, left + wide, size)


def _box(
    top: float, bottom: float, left: float, right: float, size: tuple[int, int]
) -> tuple[slice, slice]:
    """Shares of the frame as slices of at least one pixel."""
    height, width = size
    first, start = max(0, int(top * height)), max(0, int(left * width))
    rows = slice(first, max(first + 1, round(bottom * height)))
    return rows, slice(start, max(start + 1, round(right * width)))
