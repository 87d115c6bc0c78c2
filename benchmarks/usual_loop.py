"""The usual published training loop, to compare with: files, DataLoader, torchvision v2, float32.

Each sample is decoded, resized and augmented on its own in a loader process; the loss is read back
at every step for the progress line that such loops print.
"""

import os
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from tuner.spec.config import TrialConfig
from tuner.training.data.load import Data
from tuner.training.determinism import DeviceContext
from tuner.training.ignore import IGNORE
from tuner.training.train_state import TrainState


def write_files(root: Path, data: Data, *, scale: int = 2) -> None:
    """A data set of format `folder`: JPEG images and PNG masks, larger than the network's input."""
    for part, split in (("train", data.train), ("val", data.val)):
        for index in range(len(split)):
            image = Image.fromarray(np.asarray(split.images[index]))
            mask = Image.fromarray(np.asarray(split.label(index)))
            for kind, pixels, name in (
                ("images", image, f"{index:04d}.jpg"),
                ("labels", mask, f"{index:04d}.png"),
            ):
                path = root / kind / part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                size = (pixels.width * scale, pixels.height * scale)
                pixels.resize(size, Image.Resampling.NEAREST).save(path)


def images_per_second(config: TrialConfig, data: Data, root: Path, context: DeviceContext) -> float:
    """Pace of the second epoch over the files below `root`, by the same network and optimizer."""
    state = TrainState(config, data, context, 1_000)
    loader = DataLoader(
        _Files(root, config.dataset.size),
        batch_size=config.training.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=min(os.cpu_count() or 1, 8),
        pin_memory=context.is_cuda,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    _epoch(state, loader, context)
    began = perf_counter()
    seen = _epoch(state, loader, context)
    return seen / (perf_counter() - began)


def _epoch(state: TrainState, loader: "DataLoader[Any]", context: DeviceContext) -> int:
    seen, running = 0, 0.0
    for images, labels in loader:
        pixels, marks = images.to(context.device), labels.to(context.device)
        state.optimizer.zero_grad(set_to_none=True)
        logits, aux = state.model(pixels)
        loss = state.loss(logits, marks)
        if aux is not None:
            loss = loss + 0.4 * state.loss(aux, marks)
        loss.backward()
        state.optimizer.step()
        running += loss.item()
        seen += len(images)
    return seen


class _Files(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of files with the augmentation of `benchmarks.training`, one sample at a time."""

    def __init__(self, root: Path, size: tuple[int, int]) -> None:
        self._pairs = list(
            zip(
                sorted((root / "images" / "train").iterdir()),
                sorted((root / "labels" / "train").iterdir()),
                strict=True,
            )
        )
        self._augment = v2.Compose(
            [
                v2.Resize(size, antialias=True),
                v2.RandomHorizontalFlip(0.5),
                v2.RandomAffine(
                    degrees=0, scale=(0.5, 2.0), fill={tv_tensors.Mask: IGNORE, "others": 0}
                ),
                v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4),
            ]
        )

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image C×h×w of float32 in 0 … 255 and labels h×w of int64."""
        torch.set_num_threads(1)
        image, mask = (np.array(Image.open(path)) for path in self._pairs[index])
        pixels = tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1))
        changed, marks = self._augment(pixels, tv_tensors.Mask(torch.from_numpy(mask)))
        return changed.as_subclass(Tensor).float(), marks.as_subclass(Tensor).long()
