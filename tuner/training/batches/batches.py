"""Training batches: position in, augmented tensors on the training device out."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.errors import TrainingError
from tuner.spec.config import TrialConfig
from tuner.training import draws
from tuner.training.batches.augmentation import Augmentation, SampleSource
from tuner.training.batches.prefetch import Prefetch
from tuner.training.data.cache import DecodedSplit
from tuner.training.ranks import Rank
from tuner.wording import quantity

_RESIDENT_SHARE = 0.5


class Batches:
    """Every batch is a pure function of (seed, epoch, position).

    The data lie on the GPU where they fit there; otherwise a thread loads ahead into page-locked
    memory, if `ahead` does not say differently.

    An epoch holds whole batches only: the images left over after the last are skipped in this
    epoch, and the next epoch's order brings others to the end.

    `size` counts the whole batch; a `rank` among several gets its part of each, whose images look
    as they do in the whole one.
    """

    def __init__(
        self,
        split: DecodedSplit,
        config: TrialConfig,
        device: str,
        *,
        ahead: bool | None = None,
        rank: Rank = Rank(),  # noqa: B008  # frozen
    ) -> None:
        self.size, self.rank = config.training.batch_size, rank
        if self.size < rank.count:
            raise TrainingError(
                f"training.batch_size is {self.size}, but {rank.count} processes share each batch; "
                f"use {rank.count} or more"
            )
        if config.model.norm == "sync" and self.size % rank.count:
            raise TrainingError(
                f"training.batch_size is {self.size}, which {rank.count} processes cannot share "
                "equally, as model.norm: sync wants; use a multiple, or another norm"
            )
        if self.size > len(split):
            raise TrainingError(
                f"training.batch_size is {self.size}, but the training split has "
                f"{quantity(len(split), 'image')}; use {len(split)} or less"
            )
        self.per_epoch = len(split) // self.size
        self._device = torch.device(device)
        self._fill = torch.tensor(split.mean, dtype=torch.float32, device=self._device)
        self._order = _Order(config.seed, len(split), self.size, rank.part(self.size))
        resident = _resident(split, self._device)
        pinned = resident is None and self._device.type == "cuda"
        everything = resident or _on_disk(split)
        self._load = partial(_gather, *everything, self._order, pin=pinned)
        self._source = SampleSource(len(split), partial(_fetch, *everything, self._device))
        self.follow(config)
        # On a CPU a second thread would take its time from the training.
        loads_ahead = pinned if ahead is None else ahead
        self._ahead = Prefetch(self._load) if loads_ahead else None

    def follow(self, config: TrialConfig) -> None:
        """Augment as this config says; which images make a batch stays as it was."""
        self._augment = Augmentation(
            config.augment.strengths,
            seed=config.seed,
            size=config.dataset.size,
            source=self._source,
        )

    def batch(self, epoch: int, position: int) -> tuple[Tensor, Tensor]:
        """Images B×C×h×w of float32 in 0 … 255 and labels B×h×w of int64, 255 ignored."""
        index = (epoch - 1) * self.per_epoch + position
        # As stored, B×H×W×C and B×H×W of uint8: bytes travel, and become floats on the device.
        loaded = self._load(index) if self._ahead is None else self._ahead.get(index)
        images, labels = (part.to(self._device, non_blocking=True) for part in loaded)
        return self._augment(
            images.permute(0, 3, 1, 2),  # B×C×H×W
            labels,
            epoch=epoch,
            indices=self._order.indices(index),
            fill=self._fill,
        )

    def close(self) -> None:
        """End what loads ahead."""
        if self._ahead is not None:
            self._ahead.close()


class _Order:
    """Which images make a batch. Two threads may ask: what they compute twice is the same."""

    def __init__(self, seed: int, length: int, size: int, part: slice) -> None:
        self._part = part
        self._seed = seed
        self._length = length
        self._size = size
        self._last = (0, np.empty(0, dtype=np.int64))

    def indices(self, index: int) -> NDArray[np.int64]:
        """The images of a batch's part, batches counted from 0 over all epochs."""
        finished, position = divmod(index, self._length // self._size)
        epoch, order = self._last
        if epoch != finished + 1:
            order = draws.permutation(self._seed, finished + 1, "order", length=self._length)
            self._last = (finished + 1, order)
        return order[position * self._size : (position + 1) * self._size][self._part]


def _gather(
    images: Tensor, labels: Tensor, order: _Order, index: int, *, pin: bool
) -> tuple[Tensor, Tensor]:
    """The stored pixels of a batch; page-locked, they are copied while the GPU computes."""
    chosen = torch.from_numpy(order.indices(index)).to(images.device, non_blocking=True)
    pair = images[chosen], labels[chosen]
    return (pair[0].pin_memory(), pair[1].pin_memory()) if pin else pair


def _fetch(
    images: Tensor, labels: Tensor, device: torch.device, indices: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Samples that are mixed into a batch, images N×C×h×w, on the training device."""
    chosen = torch.from_numpy(indices).to(images.device, non_blocking=True)
    return images[chosen].to(device).permute(0, 3, 1, 2), labels[chosen].to(device)


def _on_disk(split: DecodedSplit) -> tuple[Tensor, Tensor]:
    """All images and labels as the cache maps them into memory."""
    return torch.from_numpy(split.images), torch.from_numpy(split.stacked_labels)


def _resident(split: DecodedSplit, device: torch.device) -> tuple[Tensor, Tensor] | None:
    """All images and labels on the GPU, where they take at most half of what is free."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    if split.images.nbytes + split.stacked_labels.nbytes > _RESIDENT_SHARE * free:
        return None
    images, labels = _on_disk(split)
    return images.to(device), labels.to(device)
