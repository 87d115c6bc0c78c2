"""What a data set holds: class frequencies, and what is odd about them, before any GPU is asked."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from tuner.spec.config import DatasetConfig
from tuner.spec.undefined import why_undefined
from tuner.training.data.cache import DecodedSplit
from tuner.training.data.load import Data
from tuner.training.ignore import IGNORE
from tuner.wording import quantity

_RARE = 1e-3
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How much there is of one class: its share of the labelled pixels, and images that show it."""

    name: str
    train_share: float
    train_images: int
    val_share: float
    val_images: int


@dataclass(frozen=True, slots=True)
class DataReport:
    """A data set in numbers; `train_share` of each class is what class weights are made of."""

    train: int
    val: int
    channels: int
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    ignored: tuple[float, float]  # share of all pixels, in training and validation
    label_sizes: tuple[tuple[int, int], ...]
    classes: tuple[ClassCount, ...]
    fingerprint: str
    warnings: tuple[str, ...]


def report(data: Data, dataset: DatasetConfig) -> DataReport:
    """Count classes in both splits; training labels are counted at network size."""
    shows = [_shows(split, len(dataset.classes)) for split in (data.train, data.val)]
    shares = [_shares(split) for split in (data.train, data.val)]
    classes = tuple(
        ClassCount(name, shares[0][k], int(shows[0][k]), shares[1][k], int(shows[1][k]))
        for k, name in enumerate(dataset.classes)
    )
    ignored = (_ignored(data.train), _ignored(data.val))
    return DataReport(
        train=len(data.train),
        val=len(data.val),
        channels=data.train.channels,
        dtype=data.train.images.dtype.name,
        mean=data.train.mean,
        std=data.train.std,
        ignored=ignored,
        label_sizes=tuple(sorted(set(data.val.shapes))),
        classes=classes,
        fingerprint=data.fingerprint,
        warnings=(*data.notes, *_warnings(data, classes, ignored)),
    )


def _shows(split: DecodedSplit, classes: int) -> np.ndarray:
    """Number of images that show each class."""
    found = np.zeros(classes, dtype=np.int64)
    for index in range(len(split)):
        found += np.bincount(split.label(index).reshape(-1), minlength=IGNORE + 1)[:classes] > 0
    return found


def _shares(split: DecodedSplit) -> list[float]:
    total = max(sum(split.class_pixels), 1)
    return [pixels / total for pixels in split.class_pixels]


def _ignored(split: DecodedSplit) -> float:
    return 1 - sum(split.class_pixels) / len(split.flat_labels)


def _warnings(
    data: Data, classes: tuple[ClassCount, ...], ignored: tuple[float, float]
) -> Iterator[str]:
    yield from (wrong for each in classes if (wrong := _odd(each)))
    for split, share in zip(("training", "validation"), ignored, strict=True):
        if share > _MOSTLY:
            yield f"{share:.0%} of the {split} pixels are ignored; check ignore_index and labels"
    repeated = _same(data)
    if repeated:
        yield (
            f"{quantity(repeated, 'validation image')} found among the training images; scores "
            "will be too good"
        )


def _odd(found: ClassCount) -> str | None:
    if not found.train_images and not found.val_images:
        return (
            f"class '{found.name}' is in no image; remove it, or check its label: "
            f"{_unlabelled(found.name)}"
        )
    if not found.train_images:
        return (
            f"class '{found.name}' is in no training image and cannot be learned; "
            "its IoU of 0 counts in miou"
        )
    if not found.val_images:
        return f"class '{found.name}' is in no validation image: {_unlabelled(found.name)}"
    if found.train_share < _RARE:
        return (
            f"class '{found.name}' has {found.train_share:.3%} of the training pixels; "
            "class weights or another loss may help"
        )
    return None


def _unlabelled(name: str) -> str:
    """What the metrics make of a class without a validation label; see `tuner.spec.metrics`."""
    return (
        f"recall.{name} has no value, and a network that predicts the class anywhere has an IoU "
        "of 0 for it, which counts in miou and iou.worst"
    )


def undefined(found: DataReport, metrics: Iterable[str]) -> Iterator[str]:
    """What cannot be measured on this data: each such metric, with the reason."""
    classes = tuple(each.name for each in found.classes)
    labelled = tuple(each.val_images for each in found.classes)
    for metric in dict.fromkeys(metrics):
        if why := why_undefined(metric, labelled, classes):
            yield (
                f"{metric} cannot be measured: {why}; a study that uses it is stopped at its "
                "first report"
            )


def _same(data: Data) -> int:
    """Validation images that are, at network size, also training images."""
    known = {_digest(image) for image in data.train.images}
    return sum(_digest(image) in known for image in data.val.images)


def _digest(image: np.ndarray) -> bytes:
    return sha256(image.tobytes()).digest()
