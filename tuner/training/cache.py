"""Decodes a split once into memory maps that every trial on the machine shares.

A store is a folder `<key>/` with the images at network size, the labels, and `meta.json`, which is
written last. It is built beside its place under a file lock and renamed when it is whole; one that
is damaged or partial is thrown away and built again. Images are resized with antialiasing.
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

from tuner.errors import DataError
from tuner.spec.config import DatasetConfig
from tuner.training.ignore import IGNORE
from tuner.training.split import Mask, Picture, Split

_logger = logging.getLogger(__name__)
_VERSION = 1
_CHUNK = 32
_NAMED = 5


@dataclass(frozen=True)
class Store:
    """One decoded split: N×H×W×3 images, all labels end to end, and what is known of them."""

    images: NDArray[np.uint8]
    flat_labels: NDArray[np.uint8]
    shapes: tuple[tuple[int, int], ...]
    names: tuple[str, ...]
    fingerprint: str
    class_pixels: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

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


def open_store(split: Split, dataset: DatasetConfig, folder: Path, *, resize_labels: bool) -> Store:
    """The decoded split, from the cache or decoded now.

    Raises:
        DataError: images or masks cannot be used; the message counts and names them.
    """
    key = _key(split, dataset, resize_labels)
    place = folder / key
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key}.lock"):
        store = _opened(place)
        if store is None:
            shutil.rmtree(place, ignore_errors=True)
            _logger.info("decoding %d images into cache %s", len(split), key)
            _build(split, dataset, place, resize_labels=resize_labels)
            store = _opened(place)
    if store is None:
        raise DataError(f"the cache at {folder} cannot be read back; check its disk")
    return store


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


def _opened(place: Path) -> Store | None:
    """The store at a place, or None where it is missing, partial or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))
        images = _mapped(place / "images.u8", meta["images"])
        labels = _mapped(place / "labels.u8", [sum(h * w for h, w in meta["shapes"])])
        return Store(
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


def _mapped(path: Path, shape: Sequence[int]) -> NDArray[np.uint8]:
    size = path.stat().st_size
    if size != int(np.prod(shape)):
        raise ValueError(f"{path.name} holds {size} bytes, not {int(np.prod(shape))}")
    # Copy-on-write: torch wants writable memory, the file stays as it is.
    return np.memmap(path, dtype=np.uint8, mode="c", shape=tuple(shape))


def _build(split: Split, dataset: DatasetConfig, place: Path, *, resize_labels: bool) -> None:
    part = place.with_name(f"{place.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    tally = _Tally(len(dataset.classes))
    with (part / "images.u8").open("wb") as images, (part / "labels.u8").open("wb") as labels:
        for index, found in enumerate(_decoded(split)):
            if isinstance(found, DataError):
                tally.problems.append(str(found))
                continue
            picture, mask = found
            label, wrong = _internal(mask, dataset)
            if wrong:
                tally.problems.append(f"{split.names[index]}: {wrong}")
            if tally.problems:
                continue
            tally.digest(split.names[index], picture, label)
            picture = _fit(picture, dataset.size, Image.Resampling.BILINEAR)
            if resize_labels:
                label = _fit(label, dataset.size, Image.Resampling.NEAREST)
            tally.count(picture, label)
            images.write(picture.tobytes())
            labels.write(label.tobytes())
    tally.check(len(split), dataset)
    meta = {"names": split.names, "images": [len(split), *dataset.size, 3], **tally.facts()}
    (part / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    part.replace(place)


def _decoded(split: Split) -> Iterator[tuple[Picture, Mask] | DataError]:
    """Every pair in order, decoded by a few threads, a chunk at a time to bound memory."""

    def read(index: int) -> tuple[Picture, Mask] | DataError:
        try:
            return split.read(index)
        except DataError as error:
            return error

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(split), _CHUNK):
            yield from pool.map(read, range(start, min(start + _CHUNK, len(split))))


def _internal(mask: Mask, dataset: DatasetConfig) -> tuple[NDArray[np.uint8], str | None]:
    """Labels of 0 … K-1 and 255, and what is wrong with the mask, if anything."""
    ignored = mask == dataset.ignore_index
    strange = np.unique(mask[~ignored & ((mask < 0) | (mask >= len(dataset.classes)))]).tolist()
    if strange == [255] and len(dataset.classes) == 2:
        return np.empty(0, np.uint8), (
            "mask values are 0 and 255, as in a black-and-white mask; with two classes say "
            "`values: [0, 255]` in the data set"
        )
    if strange:
        shown = ", ".join(str(value) for value in strange[:_NAMED])
        return np.empty(0, np.uint8), (
            f"label {shown} is neither a class (0 to {len(dataset.classes) - 1}) nor "
            f"ignore_index {dataset.ignore_index}"
        )
    return np.where(ignored, IGNORE, mask).astype(np.uint8), None


def _fit(
    pixels: NDArray[np.uint8], size: tuple[int, int], filtering: Image.Resampling
) -> NDArray[np.uint8]:
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), filtering))


class _Tally:
    """What is learned of a split while it passes by."""

    def __init__(self, classes: int) -> None:
        self.problems: list[str] = []
        self._pixels = np.zeros(256, dtype=np.int64)
        self._sum = np.zeros(3)
        self._squares = np.zeros(3)
        self._seen = 0
        self._shapes: list[tuple[int, ...]] = []
        self._hash = sha256()
        self._classes = classes

    def digest(self, name: str, picture: Picture, label: NDArray[np.uint8]) -> None:
        """Add a pair as it was decoded, before resizing."""
        self._hash.update(repr((name, picture.shape)).encode())
        self._hash.update(picture.tobytes())
        self._hash.update(label.tobytes())

    def count(self, picture: Picture, label: NDArray[np.uint8]) -> None:
        """Add a pair as it is stored."""
        values = picture.reshape(-1, 3).astype(np.float64)
        self._sum += values.sum(axis=0)
        self._squares += (values**2).sum(axis=0)
        self._seen += len(values)
        self._pixels += np.bincount(label.reshape(-1), minlength=256)
        self._shapes.append(label.shape)

    def check(self, length: int, dataset: DatasetConfig) -> None:
        """Raises DataError with the number of bad pairs and the first few, or for empty labels."""
        if self.problems:
            shown = "; ".join(self.problems[:_NAMED])
            more = "; …" if len(self.problems) > _NAMED else ""
            raise DataError(
                f"{len(self.problems)} of {length} images cannot be used: {shown}{more}"
            )
        found = self._pixels[: self._classes]
        only_first = len(dataset.classes) == 2 and found[1] == 0
        if only_first and self._pixels[IGNORE] and dataset.ignore_index == IGNORE:
            raise DataError(
                f"no pixel is of class '{dataset.classes[1]}', but some are 255, which is "
                "ignore_index; black-and-white masks need `values: [0, 255]` in the data set"
            )
        if not found.any():
            raise DataError(
                f"every pixel of {length} masks is ignore_index {dataset.ignore_index}; "
                "nothing can be learned or scored"
            )

    def facts(self) -> dict[str, Any]:
        """The part of meta.json that comes from the pixels."""
        mean = self._sum / self._seen
        deviation = np.sqrt(np.maximum(self._squares / self._seen - mean**2, 1.0))
        return {
            "shapes": self._shapes,
            "fingerprint": self._hash.hexdigest(),
            "class_pixels": self._pixels[: self._classes].tolist(),
            "mean": mean.tolist(),
            "std": deviation.tolist(),
        }
