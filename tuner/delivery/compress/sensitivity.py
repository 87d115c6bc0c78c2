"""Which layers INT8 harms most, and how few of them in float keep the score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import torch
from torch import Tensor

from tuner.delivery.compress import costs
from tuner.delivery.compress.quantisation import (
    Calibrated,
    CalibrationImages,
    OnnxSource,
    quantised,
    with_one_layer,
)
from tuner.delivery.onnx_model import OnnxModel
from tuner.errors import TrainingError
from tuner.training.data.cache import DecodedSplit

_LOOKS = 4  # images on which a layer's harm is measured
_MOST = 0.5  # of the layers may stay in float; then there is little left to gain


@dataclass(frozen=True, slots=True)
class Within:
    """A quantised file that keeps its score, and the layers of it that stayed in float.

    `harm` is, by layer, the error of the logits when it alone is quantised, as a share of their
    variance; none where no layer had to stay.
    """

    path: Path
    miou: float
    in_float: tuple[str, ...]
    harm: dict[str, float]


@dataclass(frozen=True)
class SensitivitySearch:
    """What a quantised file is held to: at most `max_drop` below `miou` on the split."""

    found: Calibrated
    split: DecodedSplit
    miou: float
    max_drop: float
    folder: Path
    say: Callable[[str], None] = lambda _: None

    def run(self, source: OnnxSource, images: CalibrationImages) -> Within:
        """Quantise all layers, or all but the fewest of the most harmed that keep the score.

        Raises:
            TrainingError: half of the layers in float do not keep it.
        """
        first = self._attempt(())
        if self._holds(first):
            return first
        self.say(
            f"int8 costs {self.miou - first.miou:.4f} of miou, more than {self.max_drop:g}; "
            f"measuring {len(self.found.layers)} layers"
        )
        harm = harms(self.found, source, images, folder=self.folder)
        order = sorted(harm, key=harm.__getitem__, reverse=True)
        most = max(int(_MOST * len(order)), 1)
        kept = self._fewest(order, most)
        if kept is None:
            raise TrainingError(
                f"{self.found.facts.name} loses more than {self.max_drop:g} of its miou of "
                f"{self.miou:.4f} in int8, with {most} of {len(order)} layers in float too; allow "
                "more with --max-drop, calibrate with more --images or another --calibration, or "
                "deploy it in float. Nothing was written"
            )
        return Within(kept.path, kept.miou, kept.in_float, harm)

    def _fewest(self, order: Sequence[str], most: int) -> Within | None:
        """Doubling until the score holds, then halving the last step; None where none holds."""
        count, low, best = 1, 0, None
        while best is None:
            tried = self._attempt(tuple(order[:count]))
            if self._holds(tried):
                best = tried
            elif count >= most:
                return None
            else:
                low, count = count, min(2 * count, most)
        high = count
        while high - low > 1:
            middle = (low + high) // 2
            tried = self._attempt(tuple(order[:middle]))
            if self._holds(tried):
                high, best = middle, tried
            else:
                low = middle
        return best

    def _attempt(self, in_float: tuple[str, ...]) -> Within:
        path = self.folder / f"int8-{len(in_float)}.onnx"
        model = quantised(self.found, path, in_float=in_float)
        return Within(path, costs.score(model, self.split), in_float, {})

    def _holds(self, tried: Within) -> bool:
        return self.miou - tried.miou <= self.max_drop


def harms(
    found: Calibrated, source: OnnxSource, images: CalibrationImages, *, folder: Path
) -> dict[str, float]:
    """By layer, the squared error of the logits with it alone quantised, over their variance."""
    given = [torch.from_numpy(images.image(index)) for index in range(min(_LOOKS, len(images)))]
    right = [source.opened().logits(each) for each in given]
    path = folder / "one.onnx"
    return {
        layer: _error(with_one_layer(found, path, layer), given, right) for layer in found.layers
    }


def _error(model: OnnxModel, given: Sequence[Tensor], right: Sequence[Tensor]) -> float:
    errors = [
        float((model.logits(image) - logits).square().mean() / logits.var().clamp(min=1e-12))
        for image, logits in zip(given, right, strict=True)
    ]
    error = sum(errors) / len(errors)
    return error if error == error else inf  # not a number is the greatest harm
