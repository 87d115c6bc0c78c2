"""What passes between a network that learns and the teachers that it learns from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a teacher makes of the images that the network has just seen.

    `logits` are N×K×H×W at the size of the images; `features` are the encoder's, finest first, and
    `own` those of the network itself, where a loss compares them. The teacher's have no gradient.
    """

    logits: Tensor
    features: Sequence[Tensor] = ()
    own: Sequence[Tensor] = ()


Lessons = Mapping[str, Lesson]  # by the name that a config gives the teacher


class Taught(nn.Module):
    """A loss that looks at a teacher; it is called with (logits, labels, lessons).

    `compares_features` asks for features beside logits; such a loss hears of their channels before
    the first step.
    """

    compares_features = False

    def __init__(self, teacher: str) -> None:
        super().__init__()
        self.teacher = teacher

    def meet(self, own: Sequence[int], teachers: Sequence[int]) -> None:
        """Take note of the channels of both encoders' features, finest first."""
