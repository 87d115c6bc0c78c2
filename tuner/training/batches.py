"""Training batches: position in, augmented tensors on the training device out."""

import numpy as np
import torch
from torch import Tensor

from tuner.errors import DataError
from tuner.spec.config import TrialConfig
from tuner.training import draws
from tuner.training.augmentation import Augmentation
from tuner.training.cache import Store

_RESIDENT_SHARE = 0.5


class Batches:
    """Every batch is a pure function of (seed, epoch, position).

    An epoch holds whole batches only: the images left over after the last are skipped in this
    epoch, and the next epoch's order brings others to the end.
    """

    def __init__(self, store: Store, config: TrialConfig, device: str) -> None:
        self.size = config.training.batch_size
        if self.size > len(store):
            raise DataError(
                f"training.batch_size is {self.size}, but the training split has {len(store)} "
                f"images; use {len(store)} or less"
            )
        self.per_epoch = len(store) // self.size
        self._seed = config.seed
        self._device = torch.device(device)
        self._fill = torch.tensor(store.mean, dtype=torch.float32, device=self._device)
        self._augment = Augmentation(
            config.augment.strengths, seed=config.seed, size=config.dataset.size
        )
        self._images, self._labels = _resident(store, self._device)
        self._length = len(store)
        self._order = (0, np.empty(0, dtype=np.int64))

    def batch(self, epoch: int, position: int) -> tuple[Tensor, Tensor]:
        """Images B×3×h×w of float32 in 0 … 255 and labels B×h×w of int64, 255 ignored."""
        if self._order[0] != epoch:
            order = draws.permutation(self._seed, epoch, "order", length=self._length)
            self._order = (epoch, order)
        indices = self._order[1][position * self.size : (position + 1) * self.size]
        chosen = torch.from_numpy(indices).to(self._images.device)
        images = self._images[chosen].to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        labels = self._labels[chosen].to(self._device, non_blocking=True)
        return self._augment(images, labels, epoch=epoch, indices=indices, fill=self._fill)


def _resident(store: Store, device: torch.device) -> tuple[Tensor, Tensor]:
    """All images and labels, on the GPU where they take at most half of what is free."""
    images = torch.from_numpy(store.images)
    labels = torch.from_numpy(store.stacked_labels)
    if device.type != "cuda":
        return images, labels
    free, _ = torch.cuda.mem_get_info(device)
    if images.nbytes + labels.nbytes > _RESIDENT_SHARE * free:
        return images, labels
    return images.to(device), labels.to(device)
