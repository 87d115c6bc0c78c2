"""What evaluation, ensembles, explanations and `predict` ask of a model, whatever runs it."""

from typing import Protocol

import torch
from torch import Tensor

from tuner.errors import Diverged
from tuner.spec.config import DatasetConfig, Size


class Predictor(Protocol):
    """A segmentation network in use: in training precision, exported, quantised, or several of it.

    `name` is what reports call it; `classes` are its outputs in order; `channels` and `size`
    (height, width) are those of the images that it was trained on. `align_corners` is how its
    logits are resized to an image's or a label's size. `dataset` is what it was trained on, where
    that is known.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  # the class says what each is

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def channels(self) -> int: ...  # noqa: D102

    @property
    def size(self) -> Size: ...  # noqa: D102

    @property
    def align_corners(self) -> bool: ...  # noqa: D102

    @property
    def dataset(self) -> DatasetConfig | None: ...  # noqa: D102

    def logits(self, images: Tensor) -> Tensor:
        """Logits N×K×h×w in float32 on the CPU or the images' device, at a stride of its own.

        Images are N×C×H×W of float32 in 0 … 255, not normalised: every model carries its own mean
        and deviation. A softmax over K gives its probabilities.
        """
        ...


def checked(logits: Tensor) -> Tensor:
    """The logits, all of them finite. Raises Diverged."""
    if not bool(torch.isfinite(logits).all()):
        raise Diverged("the model's output is not finite; it is damaged, or was never trained")
    return logits
