"""Tiny configs and data sets that train in moments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tuner.configs.resolve import resolve
from tuner.spec.config import DatasetConfig, Recipe, TrialConfig
from tuner.spec.messages import Report, Verdict
from tuner.training.session import Session

CLASSES = ("sky", "road", "car")
SIZE = (32, 48)
TIMINGS = {"images_per_second", "data_wait", "peak_memory_mb", "gpu_utilisation"}


class Reports(Session):
    """Keeps what is reported, and says `continue`."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def report(self, report: Report) -> Verdict:
        """Take note of a report."""
        self.reports.append(report)
        return Verdict()


def synthetic(**options: Any) -> DatasetConfig:
    """Street scenes of three classes."""
    settings = {"format": "synthetic", "classes": CLASSES, "size": SIZE, "train": 7, "val": 2}
    return DatasetConfig.model_validate({**settings, **options})


def folder(**options: Any) -> DatasetConfig:
    """The files that `write_folder` writes."""
    settings = {"format": "folder", "root": "set", "classes": CLASSES, "size": SIZE}
    return DatasetConfig.model_validate({**settings, **options})


def config(params: Mapping[str, Any] | None = None) -> TrialConfig:
    """Two epochs of three steps of the smallest network, with everything random switched on."""
    base = Recipe.model_validate(
        {
            "model": {
                "decoder": "deeplabv3plus",
                "encoder": "tu-test_efficientnet",
                "mid_channels": 8,
                "low_channels": 4,
            },
            "augment": {"flip": 0.5, "scale": [0.5, 2.0], "rotate": 10, "colour": 0.4},
            "training": {"epochs": 2, "batch_size": 2, "ema": 0.9},
        }
    )
    return resolve(base, synthetic(), params or {})


def write_folder(root: Path, *, train: int = 3, val: int = 2) -> Path:
    """A data set of random images and masks below `root/set`; gives that folder."""
    numbers = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            write_pair(root / "set", split, f"{index:03d}", numbers.integers(0, 3, (40, 60)))
    return root / "set"


def write_pair(base: Path, split: str, name: str, mask: np.ndarray) -> None:
    """One image and its mask, as PNG files."""
    numbers = np.random.default_rng(len(name))
    picture = numbers.integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    for kind, pixels in (("images", picture), ("labels", mask.astype(np.uint8))):
        path = base / kind / split / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def timeless(reports: list[Report]) -> list[tuple[Any, ...]]:
    """Reports without what the clock says."""
    return [
        (
            report.step,
            {name: value for name, value in report.metrics.items() if name not in TIMINGS},
            report.confusion,
        )
        for report in reports
    ]
