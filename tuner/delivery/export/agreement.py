"""Whether an exported file gives what the trained model gives, on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from tuner.delivery.trained import TrainedModel
from tuner.spec.config import Size
from tuner.training.network.resize import resize
from tuner.wording import quantity

# Of the largest logit. Other kernels add in another order: 1e-6 to 1e-5 is what is seen.
TOLERANCE = 1e-3
LEAST_EQUAL = 0.999
_BATCHES = (1, 2)


class Runnable(Protocol):
    """An exported file that was opened again."""

    @property
    def gives_labels(self) -> bool: ...  # noqa: D102  # as its `Facts` say

    def logits(self, images: Tensor) -> Tensor: ...  # noqa: D102

    def labels(self, images: Tensor) -> Tensor: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Equality:
    """The largest difference of logits (None: the file gives labels), and the equal pixels.

    `largest` is the largest logit of the trained model, `sizes` are the images' heights and widths.
    """

    difference: float | None
    largest: float
    equal: float
    images: int
    sizes: tuple[Size, ...]

    @property
    def is_good(self) -> bool:
        """Whether the file may stand for the trained model."""
        if self.difference is None:
            return self.equal >= LEAST_EQUAL
        # Written so that a difference that is not a number is not good.
        return self.difference <= TOLERANCE * max(self.largest, 1.0)

    def __str__(self) -> str:
        """Give `max abs difference 1.2e-05 of logits up to 14, 100.00 % of pixels equal`."""
        sizes = ", ".join(f"{height}×{width}" for height, width in self.sizes)
        logits = (
            f"max abs difference {self.difference:.1e} of logits up to {self.largest:.3g}, "
            if self.difference is not None
            else ""
        )
        images = quantity(self.images, "image")
        return f"{logits}{100 * self.equal:.3f} % of pixels equal ({images}; {sizes})"


def compare(trained: TrainedModel, file: Runnable, images: Sequence[Tensor]) -> Equality:
    """Compare on batches of images N×C×H×W, each as a whole and its first image alone."""
    difference, largest, equal, pixels, count = 0.0, 0.0, 0, 0, 0
    for batch in images:
        for part in dict.fromkeys(min(number, len(batch)) for number in _BATCHES):
            given = batch[:part]
            logits, found = _both(trained, file, given)
            size = (given.shape[-2], given.shape[-1])
            aligned = trained.align_corners
            right = resize(logits, size, align_corners=aligned).argmax(dim=1)
            if file.gives_labels:
                labels = found.long()
            else:
                largest = max(largest, float(logits.abs().max()))
                # `max` of Python would drop a NaN.
                worst = (logits - found).abs().max()
                difference = float(torch.maximum(worst, torch.tensor(difference)))
                labels = resize(found, size, align_corners=aligned).argmax(dim=1)
            equal += int((right == labels).sum())
            pixels += right.numel()
            count += part
    sizes = tuple(dict.fromkeys((batch.shape[-2], batch.shape[-1]) for batch in images))
    return Equality(
        None if file.gives_labels else difference, largest, equal / max(pixels, 1), count, sizes
    )


def _both(trained: TrainedModel, file: Runnable, images: Tensor) -> tuple[Tensor, Tensor]:
    found = file.labels(images) if file.gives_labels else file.logits(images)
    return trained.logits(images).cpu(), found.cpu()
