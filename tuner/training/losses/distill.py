"""Distillation: the network learns to answer as a trained one does, its teacher.

`kind` pixel is the divergence of the two distributions over classes at each pixel (Hinton, Vinyals
and Dean 2015); channel that of the distributions over positions in each class's map (Shu et al.
2021). Both soften logits by `temperature` T and count T²-fold, so that T leaves the scale of the
gradient. `teacher` is a `model.pt`, named as `model.weights` are. Labels only say which pixels
count: a sum with a loss of its own learns from both, and its `weight` divides them.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.ignore import IGNORE, mean_over_valid
from tuner.training.network.lessons import Lessons, Taught

TEACHER = "teacher"


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    teacher: str = "",
    kind: Literal["pixel", "channel"] = "pixel",
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0,
) -> nn.Module:
    """T² × the Kullback-Leibler divergence from the teacher's softened answer to the network's."""
    return (_PerPixel if kind == "pixel" else _PerChannel)(teacher, temperature)


class _PerPixel(Taught):
    def __init__(self, teacher: str, temperature: float) -> None:
        super().__init__(teacher)
        self.temperature = temperature

    def forward(self, logits: Tensor, labels: Tensor, lessons: Lessons) -> Tensor:
        """Mean over valid pixels, of N×K×H×W logits and N×H×W labels."""
        own = (logits / self.temperature).log_softmax(dim=1)
        right = (lessons[self.teacher].logits / self.temperature).log_softmax(dim=1)
        divergence = _divergence(own, right).sum(dim=1)  # N×H×W
        return self.temperature**2 * mean_over_valid(divergence, labels)


class _PerChannel(_PerPixel):
    def forward(self, logits: Tensor, labels: Tensor, lessons: Lessons) -> Tensor:
        """Mean over classes and over images with a valid pixel; a map's sum goes over those."""
        valid = (labels != IGNORE).flatten(1).unsqueeze(1)  # N×1×HW
        own = self._over_positions(logits, valid)
        right = self._over_positions(lessons[self.teacher].logits, valid)
        # Where nothing counts both are the same tiny number, whose share is exactly zero.
        divergence = _divergence(own, right).masked_fill(~valid, 0).sum(dim=2)  # N×K
        images = valid.any(dim=2).sum().clamp(min=1)
        return self.temperature**2 * divergence.mean(dim=1).sum() / images

    def _over_positions(self, logits: Tensor, valid: Tensor) -> Tensor:
        """Logarithms of each map as a distribution over its valid positions, N×K×HW."""
        flat = (logits / self.temperature).flatten(2)
        return flat.masked_fill(~valid, torch.finfo(flat.dtype).min).log_softmax(dim=2)


def _divergence(own: Tensor, right: Tensor) -> Tensor:
    """Terms of the divergence of two distributions given as logarithms."""
    return functional.kl_div(own, right, reduction="none", log_target=True)
