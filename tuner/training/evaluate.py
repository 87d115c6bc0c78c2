"""Scores a model on a validation split: one integer confusion matrix at label resolution."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tuner.errors import Diverged
from tuner.spec.config import TrialConfig
from tuner.spec.messages import ConfusionMatrix
from tuner.training import memory
from tuner.training.data.cache import DecodedSplit
from tuner.training.determinism import DeviceContext, autocast
from tuner.training.examples import Examples
from tuner.training.ignore import IGNORE
from tuner.training.network.model import SegmentationModel
from tuner.training.network.resize import resize
from tuner.training.process_group import ProcessGroup
from tuner.training.ranks import Rank

# Gets the number of an image, its H×W predictions and its flat K·K counts, on the device.
Watch = Callable[[int, Tensor, Tensor], None]
# Scoring keeps nothing for a backward pass, so that more images fit.
_AT_ONCE = 4


class Evaluation:
    """The validation split of a training, scored with as many images at once as fit."""

    def __init__(
        self,
        split: DecodedSplit,
        config: TrialConfig,
        context: DeviceContext,
        *,
        at_once: int,
        examples: Examples | None = None,
        group: ProcessGroup = ProcessGroup(),  # noqa: B008  # has no state
    ) -> None:
        """Begin with the images that a training step passes at once, on a GPU with some more."""
        self._split, self._context = split, context
        self._determinism = config.training.determinism
        self._examples, self._group = examples, group
        self._at_once = min((_AT_ONCE if context.is_cuda else 1) * at_once, len(split))

    def confusion(self, model: SegmentationModel, heartbeat: Callable[[], None]) -> ConfusionMatrix:
        """K×K counts of the whole split, by all of the group. Raises Diverged, OutOfMemory."""
        self._group.align(model)

        def score(at_once: int) -> ConfusionMatrix:
            return confusion(
                model,
                self._split,
                context=self._context,
                determinism=self._determinism,
                batch_size=at_once,
                heartbeat=heartbeat,
                watch=None if self._examples is None else self._examples.watch,
                rank=self._group.rank,
            )

        counts, self._at_once = memory.halving(
            score,
            self._at_once,
            least=1,
            context=self._context,
            advice="use a smaller model or dataset.size",
        )
        parts = self._group.gathered(counts)
        return tuple(tuple(row) for row in np.sum(parts, axis=0).tolist())

    def publish(self, step: int) -> None:
        """Let the examples of the last scoring be seen, as those of that step."""
        if self._examples is not None:
            self._examples.gather(self._group)
            self._examples.publish(step)


@torch.inference_mode()
def confusion(  # noqa: PLR0913  # what to score, and how
    model: SegmentationModel,
    split: DecodedSplit,
    *,
    context: DeviceContext,
    determinism: str,
    batch_size: int,
    heartbeat: Callable[[], None] = lambda: None,
    watch: Watch | None = None,
    rank: Rank = Rank(),  # noqa: B008  # frozen
) -> ConfusionMatrix:
    """K×K counts; rows are labels, columns predictions, ignored pixels count nowhere.

    Logits are resized to each label's own size, never labels to logits. A `rank` among several
    scores its part of the images: the sum over all ranks is the matrix of the split.

    Raises:
        Diverged: the model's output is not finite.
    """
    classes = len(split.class_pixels)
    was_training = model.training
    model.eval()
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=context.device)
    images = torch.from_numpy(split.images)
    own = rank.part(len(split))
    for start in range(own.start, own.stop, batch_size):
        part = images[start : min(start + batch_size, own.stop)].to(
            context.device, non_blocking=True
        )
        batch = part.permute(0, 3, 1, 2).float()  # B×C×H×W in 0 … 255
        with autocast(determinism, context):
            logits, _ = model.coarse(batch)  # B×K×h×w at the decoder's stride
        if not bool(torch.isfinite(logits).all()):
            raise Diverged("the model's output on the validation split is no longer finite")
        # One by one, because every label has the size of its own file.
        for offset in range(len(batch)):
            label = torch.from_numpy(split.label(start + offset)).to(context.device)
            each = logits[offset : offset + 1].float()
            predicted = labels_of(each, label, align_corners=model.align_corners)
            found = tally(predicted, label, classes)
            counts += found
            if watch is not None:
                watch(start + offset, predicted, found)
        heartbeat()
    model.train(was_training)
    return tuple(tuple(row) for row in counts.view(classes, classes).tolist())


def count(logits: Tensor, label: Tensor, classes: int, *, align_corners: bool = False) -> Tensor:
    """Flat K·K counts of one image: 1×K×h×w logits against H×W labels of uint8."""
    return tally(labels_of(logits, label, align_corners=align_corners), label, classes)


def labels_of(logits: Tensor, label: Tensor, *, align_corners: bool = False) -> Tensor:
    """The H×W predictions of 1×K×h×w logits at the resolution of a label."""
    size = (label.shape[0], label.shape[1])
    return resize(logits, size, align_corners=align_corners).argmax(dim=1)[0]


def tally(predicted: Tensor, label: Tensor, classes: int) -> Tensor:
    """Flat K·K counts of H×W predictions against an H×W label of uint8."""
    valid = label != IGNORE
    # Each pixel as a number, label · K + prediction, and those counted: a histogram is the matrix.
    pairs = label[valid].long() * classes + predicted[valid]
    return torch.bincount(pairs, minlength=classes * classes)
