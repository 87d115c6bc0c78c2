"""Scores a model on a validation split: one integer confusion matrix at label resolution."""

from collections.abc import Callable

import torch
from torch import Tensor

from tuner.errors import Diverged
from tuner.training.data.cache import DecodedSplit
from tuner.training.determinism import DeviceContext, autocast
from tuner.training.ignore import IGNORE
from tuner.training.network.model import SegmentationModel
from tuner.training.network.resize import resize


@torch.inference_mode()
def confusion(
    model: SegmentationModel,
    split: DecodedSplit,
    *,
    context: DeviceContext,
    determinism: str,
    batch_size: int,
    heartbeat: Callable[[], None] = lambda: None,
) -> tuple[tuple[int, ...], ...]:
    """K×K counts; rows are labels, columns predictions, ignored pixels count nowhere.

    Logits are resized to each label's own size, never labels to logits.

    Raises:
        Diverged: the model's output is not finite.
    """
    classes = len(split.class_pixels)
    was_training = model.training
    model.eval()
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=context.device)
    images = torch.from_numpy(split.images)
    for start in range(0, len(split), batch_size):
        part = images[start : start + batch_size].to(context.device, non_blocking=True)
        batch = part.permute(0, 3, 1, 2).float()
        with autocast(determinism, context):
            logits, _ = model.coarse(batch)
        if not bool(torch.isfinite(logits).all()):
            raise Diverged("the model's output on the validation split is no longer finite")
        for offset in range(len(batch)):
            label = torch.from_numpy(split.label(start + offset)).to(context.device)
            each = logits[offset : offset + 1].float()
            counts += count(each, label, classes, align_corners=model.align_corners)
        heartbeat()
    model.train(was_training)
    return tuple(tuple(row) for row in counts.view(classes, classes).tolist())


def count(logits: Tensor, label: Tensor, classes: int, *, align_corners: bool = False) -> Tensor:
    """Flat K·K counts of one image: 1×K×h×w logits against H×W labels of uint8."""
    size = (label.shape[0], label.shape[1])
    predicted = resize(logits, size, align_corners=align_corners).argmax(dim=1)[0]
    valid = label != IGNORE
    pairs = label[valid].long() * classes + predicted[valid]
    return torch.bincount(pairs, minlength=classes * classes)
