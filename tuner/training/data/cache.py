"""Decodes a split once into memory maps that every trial on the machine shares.

A decoded split is a folder `<key>/` with the images at network size, the labels, and `meta.json`,
which is written last. It is built beside its place under a file lock and renamed when it is whole;
one that is damaged or partial is thrown away and built again. Images are resized with antialiasing;
those of 8 bits take a byte per value, deeper ones four.
Training labels are resized by nearest neighbour; validation labels keep their own size, so that
scores are at label resolution.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image

from tuner.configs import catalog
from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training import paths
from tuner.training.data.split import ImageArray, Mask, Split
from tuner.training.ignore import IGNORE
from tuner.wording import quantity

logger = logging.getLogger(__name__)
_VERSION = 3
_CHUNK = 32
_NAMED = 5
_RGB = 3
# Channels that hardly vary are not blown up; bytes are never finer than one step.
_LEAST = {"uint8": 1.0, "float32": 1e-6}


@dataclass(frozen=True)
class DecodedSplit:
    """One decoded split: N×H×W×C images, all labels end to end, and what is known of them.

    Pixels, their mean and their deviation are in 0 … 255, in images of uint8 and of float32.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    flat_labels: NDArray[np.uint8]
    shapes: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    fingerprint: str
    class_pixels: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return int(self.images.shape[3])

    def label(self, index: int) -> NDArray[np.uint8]:
        """Labels of one image, h×w; 255 is ignored."""
        height, width = self.shapes[index]
        end = int(self._ends[index])
        return self.flat_labels[end - height * width : end].reshape(height, width)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([height * width for height, width in self.shapes], dtype=np.int64)

    @property
    def stacked_labels(self) -> NDArray[np.uint8]:
        """All labels as N×H×W; for splits whose labels are at network size."""
        return self.flat_labels.reshape(len(self), *self.images.shape[1:3])


def is_decoded(split: Split, dataset: DatasetConfig, folder: Path, *, resize_labels: bool) -> bool:
    """Whether the decoded split is in the cache."""
    return (folder / _key(split, dataset, resize_labels) / "meta.json").is_file()


def open_decoded(
    split: Split, dataset: DatasetConfig, folder: Path, *, resize_labels: bool
) -> DecodedSplit:
    """The decoded split, from the cache or decoded now.

    Raises:
        DataUnavailable: this machine cannot read some; the message counts and names them.
        DataError: images or masks cannot be used; the message counts and names them.
    """
    key = _key(split, dataset, resize_labels)
    place = folder / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key}.lock"):
        decoded = _opened(place)
        if decoded is None:
            shutil.rmtree(place, ignore_errors=True)
            logger.info("decoding %d images into cache %s", len(split), key)
            _build(split, dataset, place, resize_labels=resize_labels)
            decoded = _opened(place)
    if decoded is None:
        raise DataError(f"the cache at {folder} cannot be read back; check its disk")
    return decoded


def _key(split: Split, dataset: DatasetConfig, resize_labels: bool) -> str:
    facts = (
        _VERSION,
        split.key,
        dataset.size,
        len(dataset.classes),
        dataset.ignore_index,
        resize_labels,
    )
    return sha256(repr(facts).encode()).hexdigest()[:32]


def _opened(place: Path) -> DecodedSplit | None:
    """The decoded split at a place, or None where it is missing, partial or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))
        dtype = np.dtype(meta["depth"])
        images = _mapped(place / _images(dtype), meta["images"], dtype)
        size = sum(h * w for h, w in meta["shapes"])
        labels = _mapped(place / "labels.u8", [size], np.dtype(np.uint8))
        return DecodedSplit(
            images,
            labels,
            tuple((h, w) for h, w in meta["shapes"]),
            tuple(meta["names"]),
            meta["fingerprint"],
            tuple(meta["class_pixels"]),
            tuple(meta["mean"]),
            tuple(meta["std"]),
        )
    return None


def _images(dtype: np.dtype[Any]) -> str:
    return "images.u8" if dtype == np.uint8 else "images.f32"


def _mapped(path: Path, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    size, right = path.stat().st_size, int(np.prod(shape)) * dtype.itemsize
    if size != right:
        raise ValueError(f"{path.name} holds {size} bytes, not {right}")
    # Copy-on-write: torch wants writable memory, the file stays as it is.
    return np.memmap(path, dtype=dtype, mode="c", shape=tuple(shape))


def _build(split: Split, dataset: DatasetConfig, place: Path, *, resize_labels: bool) -> None:
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        _write(split, dataset, part, resize_labels=resize_labels)
        part.replace(place)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)  # a full disk is not to stay full for it
        raise


def _write(split: Split, dataset: DatasetConfig, part: Path, *, resize_labels: bool) -> None:
    dtype = np.dtype(split.dtype)
    tally = _Tally(len(dataset.classes), split.channels, dtype)
    with (part / _images(dtype)).open("wb") as images, (part / "labels.u8").open("wb") as labels:
        for name, found in zip(split.names, _decoded(split, dataset), strict=True):
            if isinstance(found, DataError):
                tally.problems.append(found)
            if tally.problems or isinstance(found, DataError):
                continue
            image, label = found
            tally.digest(name, image, label)
            image = fit(image, dataset.size, Image.Resampling.BILINEAR)
            if resize_labels:
                label = fit(label, dataset.size, Image.Resampling.NEAREST)
            tally.count(image, label)
            images.write(image.tobytes())
            labels.write(label.tobytes())
    tally.check(len(split), dataset)
    shape = [len(split), *dataset.size, split.channels]
    meta = {"names": split.names, "images": shape, "depth": split.dtype, **tally.facts()}
    (part / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


def _decoded(
    split: Split, dataset: DatasetConfig
) -> Iterator[tuple[ImageArray, NDArray[np.uint8]] | DataError]:
    """Every pair in order, decoded by a few threads, a chunk at a time to bound memory."""

    def read(index: int) -> tuple[ImageArray, NDArray[np.uint8]] | DataError:
        try:
            image, mask = split.read(index)
            return _uniform(image, split), _internal(mask, dataset)
        except (DataError, OSError) as error:
            name = split.names[index]
            if isinstance(error, OSError):
                return paths.unreadable(name, error)
            return error if name in str(error) else type(error)(f"{name}: {error}")

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(split), _CHUNK):
            yield from pool.map(read, range(start, min(start + _CHUNK, len(split))))


def _uniform(image: ImageArray, split: Split) -> ImageArray:
    """The image in the channels and dtype of the split. Raises DataError."""
    if image.shape[2] != split.channels:
        raise DataError(
            f"the image has {quantity(image.shape[2], 'channel')}, the first one {split.channels}; "
            "all images of a data set have the same"
        )
    if image.dtype != split.dtype and split.dtype == "uint8":
        raise DataError(
            "the image holds more than 8 bits per channel, the first one 8; all images of a split "
            "have the same"
        )
    if image.dtype != split.dtype and image.dtype == np.uint8:
        raise DataError(
            "the image holds 8 bits per channel, others more; all images of a data set have the "
            "same"
        )
    return image.astype(split.dtype, copy=False)


def _internal(mask: Mask, dataset: DatasetConfig) -> NDArray[np.uint8]:
    """Labels of 0 … K-1 and 255. Raises DataError where the mask holds others."""
    ignored = mask == dataset.ignore_index
    strange = np.unique(mask[~ignored & ((mask < 0) | (mask >= len(dataset.classes)))]).tolist()
    if strange == [255] and len(dataset.classes) == 2:
        raise DataError(
            "mask values are 0 and 255, as in a black-and-white mask; with two classes say "
            "`values: [0, 255]` in the data set"
        )
    if strange:
        shown = ", ".join(str(value) for value in strange[:_NAMED])
        raise DataError(
            f"label {shown} is neither a class (0 to {len(dataset.classes) - 1}) nor "
            f"ignore_index {dataset.ignore_index}"
        )
    return np.where(ignored, IGNORE, mask).astype(np.uint8)


def fit(pixels: NDArray[Any], size: tuple[int, int], filtering: Image.Resampling) -> NDArray[Any]:
    """Height × width, with or without channels, resized to a height and width with antialiasing."""
    if pixels.shape[:2] == size:
        return pixels
    if pixels.ndim == 3 and (pixels.dtype != np.uint8 or pixels.shape[2] != _RGB):
        bands = [fit(band, size, filtering) for band in np.moveaxis(pixels, 2, 0)]
        return np.stack(bands, axis=2)
    whole = np.ascontiguousarray(pixels)
    return np.asarray(Image.fromarray(whole).resize((size[1], size[0]), filtering))


def _may_be_black_and_white(dataset: DatasetConfig) -> bool:
    """Whether 255 in the files may have been meant as a class."""
    as_stored = "values" in catalog.find("dataset", dataset.format).options
    return as_stored and dataset.remap is None and dataset.ignore_index == IGNORE


def _by_reason(problems: Sequence[str]) -> str:
    """Problems of the form `file: reason`, each reason once with the first of its files."""
    files: dict[str, list[str]] = {}
    for problem in problems:
        file, _, reason = problem.partition(": ")
        files.setdefault(reason, []).append(file)
    shown = [_with_others(reason, named) for reason, named in list(files.items())[:_NAMED]]
    return "; ".join(shown) + ("; …" if len(files) > _NAMED else "")


def _with_others(reason: str, files: Sequence[str]) -> str:
    first, *others = files
    more = ", …" if len(others) > _NAMED else ""
    also = f" (and so {len(others)} more: {', '.join(others[:_NAMED])}{more})" if others else ""
    return f"{first}: {reason}{also}"


class _Tally:
    """What is learned of a split while it passes by."""

    def __init__(self, classes: int, channels: int, dtype: np.dtype[Any]) -> None:
        self.problems: list[DataError] = []
        self._pixels = np.zeros(256, dtype=np.int64)
        self._sum = np.zeros(channels)
        self._squares = np.zeros(channels)
        self._least = _LEAST[dtype.name]
        self._seen = 0
        self._shapes: list[tuple[int, ...]] = []
        self._hash = sha256()
        self._classes = classes

    def digest(self, name: str, image: ImageArray, label: NDArray[np.uint8]) -> None:
        """Add a pair as it was decoded, before resizing."""
        self._hash.update(repr((name, image.shape)).encode())
        self._hash.update(image.tobytes())
        self._hash.update(label.tobytes())

    def count(self, image: ImageArray, label: NDArray[np.uint8]) -> None:
        """Add a pair as it is stored."""
        values = image.reshape(-1, len(self._sum)).astype(np.float64)
        self._sum += values.sum(axis=0)
        self._squares += (values**2).sum(axis=0)
        self._seen += len(values)
        self._pixels += np.bincount(label.reshape(-1), minlength=256)
        self._shapes.append(label.shape)

    def check(self, length: int, dataset: DatasetConfig) -> None:
        """Raises DataError with the number of bad pairs and the first few, or for empty labels."""
        if self.problems:
            # A broken file is broken everywhere, whatever else only this machine cannot read.
            here = all(isinstance(problem, DataUnavailable) for problem in self.problems)
            kind = DataUnavailable if here else DataError
            shown = _by_reason([str(problem) for problem in self.problems])
            raise kind(
                f"{len(self.problems)} of {quantity(length, 'image')} cannot be used: {shown}"
            )
        found = self._pixels[: self._classes]
        only_first = len(dataset.classes) == 2 and found[1] == 0
        if only_first and self._pixels[IGNORE] and _may_be_black_and_white(dataset):
            raise DataError(
                f"no pixel is of class '{dataset.classes[1]}', but some are 255, which is "
                "ignore_index; black-and-white masks need `values: [0, 255]` in the data set"
            )
        if not found.any():
            raise DataError(
                f"every pixel of {quantity(length, 'mask')} is ignore_index "
                f"{dataset.ignore_index}; "
                "nothing can be learned or scored"
            )

    def facts(self) -> dict[str, Any]:
        """The part of meta.json that comes from the pixels."""
        mean = self._sum / self._seen
        variance = self._squares / self._seen - mean**2
        std = np.sqrt(np.where(variance < self._least, 1.0, variance))
        return {
            "shapes": self._shapes,
            "fingerprint": self._hash.hexdigest(),
            "class_pixels": self._pixels[: self._classes].tolist(),
            "mean": mean.tolist(),
            "std": std.tolist(),
        }
