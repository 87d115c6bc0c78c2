"""COCO annotation files: read once, on first use, and rendered as semantic masks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tuner import catalog
from tuner.errors import DataError
from tuner.training import paths
from tuner.training.regions import region
from tuner.training.split import Mask

Overlap = Literal["ignore", "conflict", "smaller"]
_NAMED = 5


class Annotations:
    """What a file says of each image, by the stem of the image's name.

    Reading takes seconds on large sets, so that it waits until something is asked; then it
    happens once for all threads.
    """

    def __init__(self, path: Path, categories: Sequence[str], *, background: str) -> None:
        self._path = path
        self._categories = categories
        self._background = background
        self._lock = Lock()
        self._found: dict[str, list[Mapping[str, Any]]] = {}
        self._labels: dict[int, int] | None = None

    def of(self, stem: str) -> list[Mapping[str, Any]]:
        """The annotations of an image. Raises DataError where the file does not know it."""
        self._load()
        if stem not in self._found:
            raise DataError(f"{stem}: {self._path.name} does not name this image")
        return self._found[stem]

    @property
    def labels(self) -> Mapping[int, int]:
        """Label by category id, of the categories that are classes."""
        return self._load()

    def area(self, stem: str) -> float:
        """Area that the kept annotations of an image state, in pixels."""
        labels = self.labels
        kept = [each for each in self._found.get(stem, []) if each.get("category_id") in labels]
        return sum(float(each.get("area", 0)) for each in kept)

    def _load(self) -> dict[int, int]:
        with self._lock:
            if self._labels is None:
                self._labels = self._read()
            return self._labels

    def _read(self) -> dict[int, int]:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            stems = {image["id"]: Path(image["file_name"]).stem for image in document["images"]}
            ids = {each["name"]: each["id"] for each in document["categories"]}
            self._found = {stem: [] for stem in stems.values()}
            for each in document["annotations"]:
                self._found[stems[each["image_id"]]].append(each)
        except OSError as error:
            raise paths.unreadable(self._path.name, error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self._path.name}: is no COCO annotation file ({type(error).__name__}: {error})"
            ) from error
        return self._numbered(ids)

    def _numbered(self, ids: Mapping[str, int]) -> dict[int, int]:
        wanted = [name for name in self._categories if name != self._background]
        if unknown := [name for name in wanted if name not in ids]:
            raise DataError(
                f"{self._path.name} has no category '{unknown[0]}'; "
                f"{catalog.nearest(unknown[0], sorted(ids))}"
            )
        return {ids[name]: place for place, name in enumerate(self._categories) if name in wanted}


def of_instances(
    found: Sequence[Mapping[str, Any]],
    labels: Mapping[int, int],
    base: Mask,
    *,
    ignore: int,
    overlap: Overlap,
    ignore_crowd: bool,
) -> Mask:
    """Instances laid over `base`, the largest first. Raises DataError.

    Crowds that are ignored count only where no other instance lies.
    """
    crowds, areas = [], []
    for each in found:
        if each["category_id"] not in labels:
            continue
        area = region(each["segmentation"], (base.shape[0], base.shape[1]))
        if ignore_crowd and each.get("iscrowd"):
            crowds.append(area)
        else:
            areas.append((labels[each["category_id"]], area))
    mask = base.copy()
    covered, twice, torn = (np.zeros(base.shape, dtype=bool) for _ in range(3))
    for label, area in sorted(areas, key=lambda each: -int(each[1].sum())):
        again = covered & area
        twice |= again
        torn |= again & (mask != label)
        mask[area] = label
        covered |= area
    for crowd in crowds:
        mask[crowd & ~covered] = ignore
    if overlap != "smaller":
        mask[twice if overlap == "ignore" else torn] = ignore
    return mask


def of_segments(
    found: Sequence[Mapping[str, Any]],
    labels: Mapping[int, int],
    ids: NDArray[np.int64],
    *,
    ignore: int,
    background: int,
    ignore_crowd: bool,
) -> Mask:
    """The mask of a panoptic PNG's segment ids; 0 is unlabelled. Raises DataError."""
    known = {0: ignore}
    for annotation in found:
        for segment in annotation["segments_info"]:
            crowd = ignore_crowd and segment.get("iscrowd")
            label = labels.get(segment["category_id"], background)
            known[segment["id"]] = ignore if crowd else label
    seen, places = np.unique(ids, return_inverse=True)
    lost = [each for each in seen.tolist() if each not in known]
    if lost:
        raise DataError(f"{len(lost)} segments are in the PNG only, first {lost[:_NAMED]}")
    table = np.array([known[each] for each in seen.tolist()], dtype=np.int32)
    return table[places].reshape(ids.shape)
