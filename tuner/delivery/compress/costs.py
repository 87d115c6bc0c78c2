"""What a step of compression cost and gained: mIoU, latency, parameters, size; before and after."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from tuner.delivery.predictor import Predictor
from tuner.errors import DataError
from tuner.spec.messages import ConfusionMatrix
from tuner.spec.metrics import derive
from tuner.training.data.cache import DecodedSplit
from tuner.training.evaluate import count
from tuner.training.network.resize import resize
from tuner.wording import quantity

_WARM, _LEAST, _MOST = 2, 5, 50
_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class CompressionStep:
    """One model of a chain: its score on the validation split, and what it costs.

    `latency_ms` is the median for one image of the trained size, from pixels to classes, on this
    machine as it is now: compare it with that of another step of the same report alone.
    """

    name: str
    miou: float
    latency_ms: float
    parameters: int
    bytes: int


def measured(
    predictor: Predictor, split: DecodedSplit, *, name: str, parameters: int, file: Path
) -> CompressionStep:
    """Score a model and time it."""
    miou = score(predictor, split)
    return CompressionStep(name, miou, latency_ms(predictor), parameters, file.stat().st_size)


def score(predictor: Predictor, split: DecodedSplit) -> float:
    """Mean IoU on a decoded split, image by image."""
    return derive(confusion(predictor, split), predictor.classes)["miou"]


@torch.inference_mode()
def confusion(predictor: Predictor, split: DecodedSplit) -> ConfusionMatrix:
    """K×K counts at the labels' own size. Raises DataError for another model's data."""
    _check(predictor, split)
    classes = len(predictor.classes)
    counts = torch.zeros(classes * classes, dtype=torch.int64)
    for index in range(len(split)):
        logits = predictor.logits(image(split, index)).float().cpu()
        label = torch.from_numpy(split.label(index))
        counts += count(logits, label, classes, align_corners=predictor.align_corners)
    return tuple(tuple(row) for row in counts.view(classes, classes).tolist())


def image(split: DecodedSplit, index: int) -> Tensor:
    """One image as predictors take them, 1×C×H×W in 0 … 255."""
    pixels = torch.from_numpy(split.images[index : index + 1])
    return pixels.permute(0, 3, 1, 2).float().contiguous()


@torch.inference_mode()
def latency_ms(predictor: Predictor) -> float:
    """Median time of one grey image, upsampling and argmax included, in milliseconds."""
    size = predictor.size
    given = torch.full((1, predictor.channels, *size), 127.0)
    times: list[float] = []
    began = perf_counter()
    while len(times) < _WARM + _LEAST or (
        len(times) < _WARM + _MOST and perf_counter() - began < _SECONDS
    ):
        start = perf_counter()
        logits = predictor.logits(given)
        labels = resize(logits, size, align_corners=predictor.align_corners).argmax(dim=1)
        labels.cpu()  # a GPU works on by itself until its result is asked for
        times.append(1000 * (perf_counter() - start))
    return statistics.median(times[_WARM:])


def described(steps: Sequence[CompressionStep]) -> Iterator[str]:
    """A table, each step compared with the first."""
    first = steps[0]
    width = max(len(each.name) for each in steps)
    header = f"{'':{width}}  {'miou':>7}  {'change':>7}  {'latency':>10}  {'faster':>7}"
    yield f"{header}  {'parameters':>11}  {'file':>9}"
    for each in steps:
        yield (
            f"{each.name:{width}}  {each.miou:7.4f}  {each.miou - first.miou:+7.4f}  "
            f"{each.latency_ms:7.1f} ms  {first.latency_ms / each.latency_ms:6.2f}×  "
            f"{each.parameters:11,}  {each.bytes / 1e6:6.2f} MB"
        )


def as_json(steps: Sequence[CompressionStep], **more: object) -> str:
    """The steps and what else belongs to them, as JSON."""
    body = {"steps": [asdict(each) for each in steps], **more}
    return json.dumps(body, indent=2, allow_nan=False) + "\n"


def _check(predictor: Predictor, split: DecodedSplit) -> None:
    if len(split.class_pixels) != len(predictor.classes):
        raise DataError(
            f"{predictor.name} tells {len(predictor.classes)} classes, the data set has "
            f"{len(split.class_pixels)}; name the data that it was trained on"
        )
    if split.channels != predictor.channels:
        raise DataError(
            f"{predictor.name} takes images of {quantity(predictor.channels, 'channel')}, the data "
            f"set's have {split.channels}; name the data that it was trained on"
        )
