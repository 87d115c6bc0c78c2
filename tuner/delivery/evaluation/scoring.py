"""One pass over a part of a data set: images in, predictions beside labels, and their scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuner.delivery.evaluation.boundaries import Boundaries, BoundaryScores
from tuner.delivery.evaluation.calibration import Calibration, Reliability
from tuner.delivery.evaluation.inference import Inference, Prediction, predict
from tuner.delivery.predictor import Predictor
from tuner.errors import InvalidInput, Problem
from tuner.spec import metrics
from tuner.spec.config import Size
from tuner.spec.messages import ConfusionMatrix
from tuner.training import memory
from tuner.training.data.parts import Part
from tuner.training.data.split import ImageArray
from tuner.training.determinism import DeviceContext
from tuner.training.ignore import IGNORE
from tuner.wording import quantity

# Changes an image of a part, height × width × channels; the index counts within the part.
Disturbance = Callable[[ImageArray, int], ImageArray]
Tick = Callable[[], None]
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Pass:
    """What every pass over a part needs: the model, the images, and how they are looked at.

    `at_once` images pass the network together, or fewer where the device lacks memory; `tick` is
    called after each image.
    """

    predictor: Predictor
    part: Part
    inference: Inference = field(default_factory=Inference)
    at_once: int = 1
    context: DeviceContext = field(default_factory=DeviceContext)
    tick: Tick = lambda: None

    def image(self, index: int) -> ImageArray:
        """One image as inference begins with it: at network size, or at its own."""
        if self.inference.mode == "whole":
            return np.asarray(self.part.decoded.images[index])
        return self.part.original(index)

    def batches(self, at_once: int) -> Iterator[Sequence[int]]:
        """Indices of images that pass the network together; windows of one image are many."""
        step = at_once if self.inference.mode == "whole" else 1
        for first in range(0, len(self.part), step):
            yield range(first, min(first + step, len(self.part)))

    def predictions(
        self, indices: Sequence[int], sizes: list[Size], *, at_once: int, change: Disturbance | None
    ) -> Iterator[Prediction]:
        """Predictions of some images at these sizes, in their order."""
        images = [self.image(index) for index in indices]
        if change is not None:
            images = [change(each, index) for each, index in zip(images, indices, strict=True)]
        return predict(
            self.predictor, batch_of(images), sizes, self.inference, at_once=max(1, at_once)
        )


@dataclass(frozen=True, slots=True)
class ImageScore:
    """One image: mean IoU over the classes in its label or prediction, and pixel accuracy.

    `iou` is by the index of each such class.
    """

    name: str
    miou: float
    pixel_accuracy: float
    iou: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scores:
    """A whole pass: the confusion matrix, and what it does not say; images without labels lack."""

    confusion: ConfusionMatrix
    boundaries: BoundaryScores
    calibration: Calibration
    images: tuple[ImageScore, ...]


def batch_of(images: Sequence[ImageArray]) -> Tensor:
    """Images of one size as N×C×H×W of float32."""
    stacked = torch.from_numpy(np.ascontiguousarray(np.stack(images)))
    return stacked.permute(0, 3, 1, 2).float()


def check_classes(predictor: Predictor, classes: Sequence[str]) -> tuple[str, ...]:
    """Notes on classes that go together. Raises InvalidInput where they do not."""
    ours, theirs = tuple(predictor.classes), tuple(classes)
    if len(ours) != len(theirs):
        raise _misfit(
            f"{predictor.name} has {len(ours)} classes ({_named(ours)}), the data set has "
            f"{len(theirs)} ({_named(theirs)}); name the data set of its training with --data"
        )
    if ours == theirs:
        return ()
    if set(ours) == set(theirs):
        raise _misfit(
            f"{predictor.name} has the classes in another order ({_named(ours)}) than the data set "
            f"({_named(theirs)}); write `classes` and `remap` in the order of the model"
        )
    first = next(pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1])
    return (
        f"the model calls its classes otherwise than the data set, first '{first[0]}', there "
        f"'{first[1]}'; they are compared by their place",
    )


def check_channels(predictor: Predictor, channels: int) -> None:
    """Raise InvalidInput where the images are not those that the model takes."""
    if predictor.channels != channels:
        raise _misfit(
            f"{predictor.name} takes images of {quantity(predictor.channels, 'channel')}, those of "
            f"the data set have {channels}; name a data set like that of its training with --data"
        )


def score(run: Pass) -> Scores:
    """Every score of a part. Raises Diverged, OutOfMemory, DataError."""
    return halving(lambda at_once: _score(run, at_once), run)


def confusion(run: Pass, change: Disturbance | None = None) -> ConfusionMatrix:
    """The confusion matrix alone, of images that are changed before. Raises as `score`."""

    def count(at_once: int) -> ConfusionMatrix:
        classes = len(run.predictor.classes)
        total = np.zeros((classes, classes), dtype=np.int64)
        for _, label, prediction in _pairs(run, at_once, change):
            total += _counts(label, prediction.classes, classes)
        return _matrix(total)

    return halving(count, run)


def halving(work: Callable[[int], _Result], run: Pass) -> _Result:
    """What `work` gives with as many images at once as fit. Raises OutOfMemory."""
    found, _ = memory.halving(
        work,
        max(1, min(run.at_once, len(run.part)) if run.inference.mode == "whole" else run.at_once),
        least=1,
        context=run.context,
        advice="use a smaller --window, or the CPU",
    )
    return found


def _score(run: Pass, at_once: int) -> Scores:
    classes = len(run.predictor.classes)
    total = np.zeros((classes, classes), dtype=np.int64)
    boundaries, reliability, images = Boundaries(classes), Reliability(), []
    for index, label, prediction in _pairs(run, at_once, None):
        counts = _counts(label, prediction.classes, classes)
        total += counts
        boundaries.add(label, prediction.classes)
        valid = label != IGNORE
        reliability.add(prediction.confidence[valid], (prediction.classes == label)[valid])
        if counts.any():
            found = metrics.derive(counts.tolist(), run.predictor.classes)
            name = run.part.decoded.names[index]
            iou = metrics.by_class(counts.tolist())["iou"]
            images.append(ImageScore(name, found["miou"], found["pixel_accuracy"], iou))
    return Scores(_matrix(total), boundaries.result(), reliability.result(), tuple(images))


def _pairs(
    run: Pass, at_once: int, change: Disturbance | None
) -> Iterator[tuple[int, Tensor, Prediction]]:
    """Index, label and prediction of every image, where the prediction lies."""
    for indices in run.batches(at_once):
        labels = [torch.from_numpy(np.asarray(run.part.label(index))) for index in indices]
        sizes = [(label.shape[0], label.shape[1]) for label in labels]
        found = run.predictions(indices, sizes, at_once=at_once, change=change)
        for index, label, prediction in zip(indices, labels, found, strict=True):
            yield index, label.to(prediction.classes.device), prediction
            run.tick()


def _counts(label: Tensor, predicted: Tensor, classes: int) -> NDArray[np.int64]:
    """K×K counts of one image; rows are labels, columns predictions."""
    valid = label != IGNORE
    # Each pixel as a number, label · K + prediction: a histogram of them is the matrix.
    places = label[valid].long() * classes + predicted[valid]
    counts = torch.bincount(places, minlength=classes * classes).view(classes, classes)
    found: NDArray[np.int64] = counts.cpu().numpy()
    return found


def _matrix(counts: NDArray[np.int64]) -> ConfusionMatrix:
    return tuple(tuple(row) for row in counts.tolist())


def _misfit(message: str) -> InvalidInput:
    return InvalidInput([Problem((), message)])


def _named(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
