"""Scores a model on a validation split: one integer confusion matrix at label resolution."""

from collections.abc import Callable

import torch
from torch import Tensor

from tuner.errors import Diverged
from tuner.training.data.cache import Store
from tuner.training.determinism import Machine, autocast
from tuner.training.ignore import IGNORE
from tuner.training.network.model import Segmenter
from tuner.training.network.resize import resize


@torch.inference_mode()
def confusion(
    model: Segmenter,
    store: Store,
    *,
    machine: Machine,
    tier: str,
    batch_size: int,
    beat: Callable[[], None] = lambda: None,
) -> tuple[tuple[int, ...], ...]:
    """K×K counts; rows are labels, columns predictions, ignored pixels count nowhere.

    Logits are resized to each label's own size, never labels to logits.

    Raises:
        Diverged: the model's output is not finite.
    """
    classes = len(store.class_pixels)
    was_training = model.training
    model.eval()
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=machine.device)
    images = torch.from_numpy(store.images)
    for start in range(0, len(store), batch_size):
        part = images[start : start + batch_size].to(machine.device, non_blocking=True)
        batch = part.permute(0, 3, 1, 2).float()
        with autocast(tier, machine):
            logits, _ = model.coarse(batch)
        if not bool(torch.isfinite(logits).all()):
            raise Diverged("the model's output on the validation split is no longer finite")
        for offset in range(len(batch)):
            label = torch.from_numpy(store.label(start + offset)).to(machine.device)
            each = logits[offset : offset + 1].float()
            counts += count(each, label, classes, align_corners=model.align_corners)
        beat()
    model.train(was_training)
    return tuple(tuple(row) for row in counts.view(classes, classes).tolist())


def count(logits: Tensor, label: Tensor, classes: int, *, align_corners: bool = False) -> Tensor:
    """Flat K·K counts of one image: 1×K×h×w logits against H×W labels of uint8."""
    size = (label.shape[0], label.shape[1])
    predicted = resize(logits, size, align_corners=align_corners).argmax(dim=1)[0]
    valid = label != IGNORE
    pairs = label[valid].long() * classes + predicted[valid]
    return torch.bincount(pairs, minlength=classes * classes)
