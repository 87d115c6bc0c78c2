"""COCO: instances drawn as a semantic mask, panoptic PNGs, or stuff PNGs (Lin et al. 2014).

Classes are the category names to learn (`categories`, where `classes` are merged from them by
`remap`). A class called `background` gets all that is of no category; without one it is ignored.
`overlap` says what becomes of a pixel under several instances: `ignore` ignores it, as torchvision
does; `conflict` does so only where their classes differ; `smaller` lays the smaller one on top.
Crowd regions are ignored where no instance lies, or drawn with `crowd: label`. Training images
whose instances state less than `min_area` pixels are left out. In stuff PNGs a pixel plus `shift`
is the category's id: 1 for `stuffthingmaps`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig
from tuner.training import annotations as coco
from tuner.training import labels, pairs, paths
from tuner.training.annotations import Annotations, Overlap
from tuner.training.pictures import read_mask, read_picture
from tuner.training.split import Mask, Picture, Split

BACKGROUND = "background"
_MASKS = {"panoptic": "annotations/panoptic_{split}2017", "stuff": "stuff_{split}2017_pixelmaps"}


@dataclass(frozen=True, slots=True)
class _Source:
    """One split's files, and the rules that turn them into labels."""

    kind: str
    stems: tuple[str, ...]
    images: dict[str, Path]
    masks: dict[str, Path]
    annotations: Annotations
    ignore: int
    background: int
    overlap: Overlap
    ignore_crowd: bool
    shift: int


def open_split(
    dataset: DatasetConfig,
    split: str,
    roots: tuple[Path, ...],
    *,
    root: str = "",
    kind: Literal["instances", "panoptic", "stuff"] = "instances",
    images: str = "{split}2017",
    annotations: str = "",
    masks: str = "",
    train: str = "train",
    val: str = "val",
    categories: list[str] = [],  # noqa: B006  # never mutated
    overlap: Literal["ignore", "conflict", "smaller"] = "ignore",
    crowd: Literal["ignore", "label"] = "ignore",
    min_area: Annotated[float, Field(ge=0)] = 0,
    shift: Annotated[int, Field(ge=-1, le=1)] = 0,
) -> Split:
    """The images of a split. Raises DataError when files are missing or do not pair."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = train if split == "train" else val
    found = pairs.listing(base, images.replace("{split}", folder), roots)
    document = annotations or f"annotations/{kind}_{{split}}2017.json"
    document = document.replace("{split}", folder)
    if not (base / document).is_file() or not paths.is_allowed(base / document, roots):
        raise DataUnavailable(f"there is no annotation file {document} below {base.name}")
    drawn = _masks(base, kind, masks, folder, roots)
    if drawn:
        pairs.matched(found, drawn, where=f"{base.name}/{folder}")
    names = tuple(categories or dataset.classes)
    known = Annotations(base / document, names, background=BACKGROUND)
    stems = tuple(sorted(found))
    if min_area and split == "train":
        stems = tuple(stem for stem in stems if known.area(stem) >= min_area)
    if not stems:
        raise DataError(f"no image of {base.name}/{folder} has {min_area:g} pixels of a category")
    source = _Source(
        kind=kind,
        stems=stems,
        images=found,
        masks=drawn,
        annotations=known,
        ignore=dataset.ignore_index,
        background=names.index(BACKGROUND) if BACKGROUND in names else dataset.ignore_index,
        overlap=overlap,
        ignore_crowd=crowd == "ignore",
        shift=shift,
    )
    facts = (names, kind, overlap, crowd, shift, dataset.ignore_index)
    return Split(stems, _key(source, base / document, facts), partial(_read, source))


def _masks(
    base: Path, kind: str, masks: str, folder: str, roots: Sequence[Path]
) -> dict[str, Path]:
    if kind == "instances":
        return {}
    pattern = (masks or _MASKS[kind]).replace("{split}", folder)
    return pairs.listing(base, pattern, roots)


def _key(source: _Source, document: Path, facts: object) -> str:
    digest = sha256(repr(facts).encode())
    files = [document, *(source.images[stem] for stem in source.stems)]
    files += [source.masks[stem] for stem in source.stems if source.masks]
    for path in files:
        stat = path.stat()
        digest.update(repr((str(path), stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()


def _read(source: _Source, index: int) -> tuple[Picture, Mask]:
    stem = source.stems[index]
    picture = read_picture(source.images[stem])
    mask = _mask(source, stem, (picture.shape[0], picture.shape[1]))
    if picture.shape[:2] != mask.shape:
        raise DataError(f"{stem}: the mask is {mask.shape}, its image {picture.shape[:2]}")
    return picture, mask


def _mask(source: _Source, stem: str, size: tuple[int, int]) -> Mask:
    ids = source.annotations.labels
    if source.kind == "stuff":
        known = {k - source.shift: label for k, label in ids.items() if k >= source.shift}
        table = labels.table(known, others=source.background)
        table[[0 if not source.shift else 255]] = source.ignore
        return labels.translate(read_mask(source.masks[stem]), table)
    found = source.annotations.of(stem)
    try:
        if source.kind == "panoptic":
            return coco.of_segments(
                found,
                ids,
                _segment_ids(source.masks[stem]),
                ignore=source.ignore,
                background=source.background,
                ignore_crowd=source.ignore_crowd,
            )
        return coco.of_instances(
            found,
            ids,
            np.full(size, source.background, dtype=np.int32),
            ignore=source.ignore,
            overlap=source.overlap,
            ignore_crowd=source.ignore_crowd,
        )
    except (DataError, KeyError) as error:
        raise DataError(f"{stem}: {error}") from error


def _segment_ids(path: Path) -> NDArray[np.int64]:
    """Ids of a panoptic PNG: red, green and blue are digits in base 256, red the lowest."""
    digits = read_picture(path).astype(np.int64)
    ids: NDArray[np.int64] = digits @ np.array([1, 256, 65536])
    return ids
