"""How an image becomes a map of classes: whole or by windows, at several scales, mirrored.

Several views of an image are averaged as probabilities. One view of the whole image is what
training scores, to the last count: its classes come from logits that are resized to the label's
size, and nothing is averaged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from tuner.delivery.evaluation import windows
from tuner.delivery.evaluation.windows import Blend
from tuner.delivery.predictor import Predictor, checked
from tuner.spec.config import Size
from tuner.training.network.resize import resize

_LEAST = 16  # pixels that a side of a scaled image has


@dataclass(frozen=True, slots=True)
class Inference:
    """Which views of an image are taken.

    `whole` gives the network the image at the size that it was trained at; `sliding` moves a window
    of that size, or of `window`, over the image at its own size; neighbours share `overlap` of it.
    """

    mode: Literal["whole", "sliding"] = "whole"
    window: Size | None = None
    overlap: float = 0.5
    blend: Blend = "gaussian"
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is what training scores: one view of the whole image."""
        return self.mode == "whole" and self.scales == (1.0,) and not self.flip

    def described(self, size: Size) -> str:
        """In words; `size` is the one that the model was trained at."""
        height, width = (self.window or size) if self.mode == "sliding" else size
        views = []
        if self.mode == "sliding":
            views.append(
                f"sliding window of {height}×{width} at the original resolution, "
                f"{self.overlap:.0%} overlap, {self.blend} blending"
            )
        else:
            views.append(f"whole image at {height}×{width}")
        if self.scales != (1.0,):
            views.append("scales " + ", ".join(f"{scale:g}" for scale in self.scales))
        if self.flip:
            views.append("with its mirror image")
        return ", ".join(views)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Classes H×W of one image, and how probable the network holds each to be."""

    classes: Tensor
    confidence: Tensor


def predict(
    predictor: Predictor,
    images: Tensor,
    sizes: list[Size],
    inference: Inference,
    *,
    at_once: int,
) -> Iterator[Prediction]:
    """Predictions at these sizes of images N×C×H×W in 0 … 255.

    `at_once` bounds the windows that pass the network together.

    Raises:
        Diverged: the model's output is not finite.
    """
    if inference.is_plain:
        yield from _plain(predictor, images, sizes)
        return
    views = list(_views(predictor, images, inference, at_once=at_once))
    for index, size in enumerate(sizes):
        total: Tensor | None = None
        for scores, is_flipped in views:
            each = scores[index : index + 1]
            if inference.mode == "whole":  # still logits, coarse ones
                each = resize(each, size, align_corners=predictor.align_corners).softmax(dim=1)
            else:
                each = resize(each, size)
            each = each.flip(-1) if is_flipped else each
            total = each if total is None else total + each
        assert total is not None
        yield _of_probabilities(total / len(views))


def _plain(predictor: Predictor, images: Tensor, sizes: list[Size]) -> Iterator[Prediction]:
    logits = checked(predictor.logits(images))
    # One by one, because every label has the size of its own file.
    for index, size in enumerate(sizes):
        each = resize(logits[index : index + 1], size, align_corners=predictor.align_corners)
        confidence = each.softmax(dim=1).amax(dim=1)[0]
        yield Prediction(each.argmax(dim=1)[0], confidence)


def _of_probabilities(probabilities: Tensor) -> Prediction:
    confidence, classes = probabilities.max(dim=1)
    return Prediction(classes[0], confidence[0])


def _views(
    predictor: Predictor, images: Tensor, inference: Inference, *, at_once: int
) -> Iterator[tuple[Tensor, bool]]:
    """Coarse logits of the whole image, or blended probabilities, and whether mirrored."""
    for scale in inference.scales:
        scaled = _scaled(images, scale)
        for is_flipped in (False, True) if inference.flip else (False,):
            view = scaled.flip(-1) if is_flipped else scaled
            if inference.mode == "whole":
                yield checked(predictor.logits(view)), is_flipped
                continue
            yield (
                windows.blended(
                    lambda batch: checked(predictor.logits(batch)),
                    view,
                    inference.window or predictor.size,
                    windows.Sliding(
                        inference.overlap, inference.blend, predictor.align_corners, at_once
                    ),
                ),
                is_flipped,
            )


def _scaled(images: Tensor, scale: float) -> Tensor:
    if scale == 1.0:
        return images
    height, width = (max(_LEAST, round(side * scale)) for side in images.shape[-2:])
    return functional.interpolate(
        images, (height, width), mode="bilinear", align_corners=False, antialias=scale < 1
    )
