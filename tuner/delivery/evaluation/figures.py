"""The best and the worst images as figures: label, prediction, and where they differ."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tuner.configs.colours import colours
from tuner.delivery.evaluation.scoring import ImageScore, Pass
from tuner.training.data.parts import Part
from tuner.training.ignore import IGNORE
from tuner.training.preview.sheet import Pixels, visible

_WIDTH = 420  # pixels that a figure has at most
_QUALITY = 80
_OPACITY = 0.6
_THUMBNAIL = (16, 16)
_ALIKE = 16  # mean distance of grey levels up to which two images are one scene
_WRONG = (213, 94, 0)
_VOID = (40, 40, 44)


@dataclass(frozen=True, slots=True)
class Figures:
    """One image, and what happened to it, as data URIs."""

    score: ImageScore
    photo: str
    label: str
    predicted: str
    errors: str


def extremes(
    part: Part, scores: Sequence[ImageScore], count: int
) -> tuple[list[ImageScore], list[ImageScore]]:
    """The worst images and the best, by mean IoU; none is both.

    Frames of one scene look alike: of those only the first in order is taken, as long as there are
    others.
    """
    places = {name: place for place, name in enumerate(part.decoded.names)}
    thumbnails = {each.name: _thumbnail(part.decoded.images[places[each.name]]) for each in scores}
    order = sorted(scores, key=lambda each: (each.miou, each.pixel_accuracy, each.name))
    middle = (len(order) + 1) // 2
    worst, best = order[:middle], order[middle:][::-1]
    return _different(worst, thumbnails, count), _different(best, thumbnails, count)


def _different(
    order: Sequence[ImageScore], thumbnails: Mapping[str, NDArray[Any]], count: int
) -> list[ImageScore]:
    """The first of an order that do not look alike; then the others, where they are too few."""
    chosen: list[ImageScore] = []
    for each in order:
        near = (np.abs(thumbnails[each.name] - thumbnails[other.name]).mean() for other in chosen)
        if len(chosen) < count and all(gap > _ALIKE for gap in near):
            chosen.append(each)
    rest = [each for each in order if each not in chosen]
    kept = {each.name for each in (*chosen, *rest[: count - len(chosen)])}
    return [each for each in order if each.name in kept]


def _thumbnail(image: NDArray[Any]) -> NDArray[np.float32]:
    """An image as a few grey pixels."""
    small = Image.fromarray(visible(image)).convert("L").resize(_THUMBNAIL)
    return np.asarray(small, dtype=np.float32)


def draw(run: Pass, chosen: Sequence[ImageScore]) -> list[Figures]:
    """Figures of some images, which are looked at once more. Raises DataError."""
    places = {name: place for place, name in enumerate(run.part.decoded.names)}
    return [_drawn(run, places[each.name], each) for each in chosen]


def _drawn(run: Pass, index: int, score: ImageScore) -> Figures:
    label = np.asarray(run.part.label(index))
    size = (label.shape[0], label.shape[1])
    (found,) = run.predictions([index], [size], at_once=run.at_once, change=None)
    predicted = found.classes.cpu().numpy().astype(np.uint8)
    width = min(_WIDTH, label.shape[1])
    shown = (width, max(1, round(label.shape[0] * width / label.shape[1])))
    photo = _resized(visible(run.part.original(index)), shown, Image.Resampling.BILINEAR)
    marks, guesses = (
        _resized(each, shown, Image.Resampling.NEAREST) for each in (label, predicted)
    )
    classes = len(run.predictor.classes)
    return Figures(
        score,
        uri(photo),
        uri(overlaid(photo, marks, classes)),
        uri(overlaid(photo, guesses, classes)),
        uri(error_map(photo, marks, guesses)),
    )


def overlaid(photo: Pixels, marks: Pixels, classes: int) -> Pixels:
    """Classes in their colours over a photo; what is ignored is left as it is."""
    table = np.zeros((IGNORE + 1, 3), dtype=np.uint8)
    table[:classes] = colours(classes)
    tinted = (1 - _OPACITY) * photo + _OPACITY * table[marks]
    found: Pixels = np.where((marks == IGNORE)[..., None], photo, tinted).astype(np.uint8)
    return found


def error_map(photo: Pixels, label: Pixels, predicted: Pixels) -> Pixels:
    """The photo in grey, what is wrong in orange, what is ignored nearly black."""
    grey = photo.mean(axis=2, keepdims=True).repeat(3, axis=2) * 0.5 + 110
    wrong = (label != predicted) & (label != IGNORE)
    grey[wrong] = 0.15 * grey[wrong] + 0.85 * np.array(_WRONG)
    grey[label == IGNORE] = _VOID
    found: Pixels = grey.clip(0, 255).astype(np.uint8)
    return found


def uri(pixels: Pixels) -> str:
    """A figure as a JPEG in a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"


def _resized(pixels: Pixels, size: tuple[int, int], filtering: Image.Resampling) -> Pixels:
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, filtering))
