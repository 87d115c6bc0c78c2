"""Distillation of features: the encoder learns to see what a teacher's encoder sees.

The last `stages` feature maps of both encoders are compared in pairs by their mean squared
difference, those of the network behind a 1×1 convolution to the teacher's channels that is trained
with it and left behind afterwards (Romero et al. 2015). `teacher` is a `model.pt`, named as
`model.weights` are. Auxiliary outputs learn nothing from it, and no output does by it alone: put it
into a sum.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tuner.training.ignore import IGNORE, mean_where
from tuner.training.network.lessons import Lessons, Taught
from tuner.training.network.resize import resize

TEACHER = "teacher"


def build(
    classes: int,
    class_shares: Sequence[float],
    *,
    teacher: str = "",
    stages: Annotated[int, Field(ge=1, le=4)] = 1,
) -> nn.Module:
    """The mean over pairs of feature maps, each a mean over channels and valid positions."""
    return _Features(teacher, stages)


class _Features(Taught):
    compares_features = True

    def __init__(self, teacher: str, stages: int) -> None:
        super().__init__(teacher)
        self.stages = stages
        self.projections = nn.ModuleList()
        self.aux = _Nothing(teacher)

    def meet(self, own: Sequence[int], teachers: Sequence[int]) -> None:
        """Make the projections, deepest last; where one encoder has fewer maps, so many."""
        pairs = list(zip(reversed(own), reversed(teachers), strict=False))[: self.stages]
        layers = [nn.Conv2d(ours, theirs, 1, bias=False) for ours, theirs in reversed(pairs)]
        self.projections = nn.ModuleList(layers)

    def forward(self, logits: Tensor, labels: Tensor, lessons: Lessons) -> Tensor:
        """Loss in float32 of the lesson's features; N×H×W labels say where they count."""
        lesson, count = lessons[self.teacher], len(self.projections)
        pairs = zip(self.projections, lesson.own[-count:], lesson.features[-count:], strict=True)
        return torch.stack(
            [_distance(layer(own.float()), theirs.float(), labels) for layer, own, theirs in pairs]
        ).mean()


class _Nothing(Taught):
    def forward(self, logits: Tensor, labels: Tensor, lessons: Lessons) -> Tensor:
        """Zero."""
        return logits.new_zeros(())


def _distance(own: Tensor, theirs: Tensor, labels: Tensor) -> Tensor:
    """Mean squared difference of N×C×h×w maps, at the teacher's size, where labels are valid."""
    size = (theirs.shape[-2], theirs.shape[-1])
    difference = (resize(own, size) - theirs).square().mean(dim=1)  # N×h×w
    valid = (labels != IGNORE).float().unsqueeze(1)
    return mean_where(difference, functional.interpolate(valid, size)[:, 0] > 0)
