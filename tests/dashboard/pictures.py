"""Pictures of validation images as a worker hands them in: scenes, and predictions of them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from api.settings import Settings
from tests.dashboard.scenes import Scene
from tuner.service import artifacts
from tuner.service.storage import ArtifactStore
from tuner.spec.config import DatasetConfig
from tuner.spec.example_views import Sheet
from tuner.spec.examples import SheetDetails
from tuner.spec.kinds import ArtifactKind
from tuner.spec.messages import Assignment
from tuner.training.data.load import Data, load
from tuner.training.evaluate import tally
from tuner.training.examples import Examples
from tuner.training.ignore import IGNORE


def hand_in(
    scene: Scene,
    settings: Settings,
    work: Assignment,
    *steps: int,
    quality: float = 0.7,
    name: str | None = None,
) -> None:
    """Photos, labels, and predictions that get better from step to step.

    `name` is what the first image is called in place of its own name.
    """
    store = ArtifactStore(settings.artifact_folder)
    dataset = work.config.dataset
    split = _data(dataset.model_dump_json()).val

    def tell(kind: ArtifactKind, path: Path, details: SheetDetails, step: int | None) -> None:
        stored = store.write([path.read_bytes()], sha256=None, limit=2**24)
        facts = details.model_dump(mode="json")
        facts["images"][0]["name"] = name or facts["images"][0]["name"]
        upload = artifacts.Upload(path.name, kind, step, stored, facts)
        artifacts.attach(scene.db, work.lease, work.token, upload, store=store)

    with (
        TemporaryDirectory() as folder,
        Examples(split, dataset, work.examples, Path(folder), tell) as shown,
    ):
        for step in steps:
            for index in shown.indices:
                label = torch.from_numpy(np.array(split.label(index)))
                good = quality * step / max(work.config.training.epochs, 1)
                predicted = predictions(label, good, len(dataset.classes), (work.trial, index))
                shown.watch(index, predicted, tally(predicted, label, len(dataset.classes)))
            shown.publish(step)


def indices(settings: Settings, sheet: Sheet) -> list[int]:
    """The palette indices of a sheet as it lies on the server's disk, row by row."""
    with (
        ArtifactStore(settings.artifact_folder).open(sheet.sha256) as file,
        Image.open(file) as png,
    ):
        found: list[int] = np.asarray(png).reshape(-1).tolist()
    return found


def predictions(
    label: torch.Tensor, quality: float, classes: int, seed: tuple[int, int]
) -> torch.Tensor:
    """Labels with blocks of them mistaken, the fewer the better the quality is."""
    random = np.random.default_rng(seed)
    found = label.numpy().copy()
    found[found == IGNORE] = 0
    height, width = found.shape
    for _ in range(int(34 * (1 - quality))):
        rows, columns = random.integers(3, height // 4), random.integers(3, width // 3)
        top, left = random.integers(0, height - rows), random.integers(0, width - columns)
        y, x = np.mgrid[:rows, :columns]
        inside = ((y / rows - 0.5) ** 2 + (x / columns - 0.5) ** 2) < 0.25
        found[top : top + rows, left : left + columns][inside] = random.integers(0, classes)
    return torch.from_numpy(found)


@cache
def _data(dataset: str) -> Data:
    with TemporaryDirectory() as cache:  # what is mapped stays readable
        return load(DatasetConfig.model_validate_json(dataset), cache=Path(cache))
