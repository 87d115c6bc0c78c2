"""COCO: instances drawn as a semantic mask, panoptic PNGs, or stuff PNGs (Lin et al. 2014).

Classes are the category names to learn; categories of one name are one class. `categories` names
them where `classes` are other names for them, in the same order, or are merged from them by
`remap`. A class called `background` gets all that is of no category; without one it is ignored.
`overlap` says what becomes of a pixel under several instances: `ignore` ignores it, as torchvision
does; `conflict` does so only where their classes differ; `smaller` lays the smaller one on top.
Crowd regions are ignored where no instance lies, or drawn with `crowd: label`. Images whose
instances state less than `min_area` pixels are not trained on.

The images are those that the annotation file lists; in `images` and `annotations`, `{split}` stands
for `train`, `val` or `test`, whose labels COCO itself does not publish. Their height and width
there must be the files'. `rescale: true` scales the annotations of images that were resized later,
and `exif` says for which pixels those of a turned image are meant where its size does not tell. In
stuff PNGs a pixel plus `shift` is the category's id: 1 for `stuffthingmaps`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuner.errors import DataError, DataUnavailable
from tuner.spec.config import DatasetConfig, Size
from tuner.training import paths
from tuner.training.data import labels, listed, pairs, regions
from tuner.training.data.annotations import BACKGROUND, Annotation, Annotations, Id, Kind
from tuner.training.data.image_files import read_colours, read_image, read_mask
from tuner.training.data.split import ImageArray, Mask, Split
from tuner.training.datasets import _frames, _rendering
from tuner.training.datasets._rendering import RenderingRules

_MASKS = {"panoptic": "annotations/panoptic_{split}2017", "stuff": "stuff_{split}2017_pixelmaps"}
_SLACK = 1.0  # pixels that a corner may lie outside of an image whose size is not stated


@dataclass(frozen=True, slots=True)
class _Sample:
    """An image, what the annotation file calls it, and its mask where there are PNGs."""

    name: str
    image: Path
    id: Id = ""
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """One split's files, and the rules that turn them into labels."""

    kind: Kind
    document: Path
    samples: tuple[_Sample, ...]
    annotations: Annotations
    rules: RenderingRules
    shift: int
    exif: _frames.Exif
    rescale: bool


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
    test: str = "test",
    categories: list[str] = [],  # noqa: B006  # never mutated
    overlap: Literal["ignore", "conflict", "smaller"] = "ignore",
    crowd: Literal["ignore", "label"] = "ignore",
    min_area: Annotated[float, Field(ge=0)] = 0,
    shift: Annotated[int, Field(ge=-1, le=1)] = 0,
    rescale: bool = False,
    exif: Literal["", "upright", "stored"] = "",
) -> Split:
    """The images of a split. Raises DataError when files are missing or contradict each other."""
    base = paths.allowed(root or ".", roots, what="the data set's root")
    folder = {"train": train, "val": val, "test": test}[split]
    document = document_of(base, kind, annotations, folder)
    if not document.is_file() or not paths.is_allowed(document, roots):
        name = document.relative_to(base)
        raise DataUnavailable(f"there is no annotation file {name} below {base.name}")
    names = _names(dataset, categories)
    known = Annotations(document, kind, names, background=BACKGROUND)
    known.refuse_lost(ignore_crowd=crowd == "ignore")
    images = images.replace("{split}", folder)
    drawn = (masks or _MASKS.get(kind, "")).replace("{split}", folder)
    source = _Source(
        kind=kind,
        document=document,
        samples=tuple(_samples(known, base, kind, (images, drawn), roots)),
        annotations=known,
        rules=RenderingRules(
            ignore=dataset.ignore_index,
            background=names.index(BACKGROUND) if BACKGROUND in names else dataset.ignore_index,
            overlap=overlap,
            ignore_crowd=crowd == "ignore",
        ),
        shift=shift,
        exif=exif,
        rescale=rescale,
    )
    return _opened(source, names, min_area if split == "train" else 0)


def document_of(base: Path, kind: str, annotations: str, folder: str) -> Path:
    """The annotation file of a split below the data set's root."""
    pattern = annotations or f"annotations/{kind}_{{split}}2017.json"
    return base / pattern.replace("{split}", folder)


def _names(dataset: DatasetConfig, categories: Sequence[str]) -> tuple[str, ...]:
    """Names of the categories by label."""
    if categories and dataset.remap is None and len(categories) != len(dataset.classes):
        raise DataError(
            f"categories names {len(categories)} categories for {len(dataset.classes)} classes; "
            "name one for each class, or merge them by remap"
        )
    return tuple(categories or dataset.classes)


def _samples(
    known: Annotations,
    base: Path,
    kind: Kind,
    patterns: tuple[str, str],
    roots: Sequence[Path],
) -> list[_Sample]:
    """The images of a split in the order of their names."""
    images, masks = patterns
    if kind == "stuff":
        image_paths = pairs.listing(base, images, roots)
        found = pairs.matched(image_paths, pairs.listing(base, masks, roots), where=base.name)
        return [_Sample(pair.name, pair.image, mask=pair.mask) for pair in found]
    if not known.images:
        raise DataError(f"{known.name} lists no images; export the data set with its images")
    named = {id_: each.name for id_, each in known.images.items()}
    files = listed.located(named, base, images, roots, document=known.name)
    samples = [_Sample(name, path, id_) for id_, (name, path) in files.items()]
    samples.sort(key=lambda sample: sample.name)
    if kind == "instances":
        return samples
    drawn = pairs.listing(base, masks, roots)
    keys = {sample.name: _mask_name(sample.name, drawn) for sample in samples}
    if lost := [name for name, key in keys.items() if key not in drawn]:
        raise DataError(f"{base.name}/{masks}: images without mask: {pairs.counted(lost)}")
    return [
        _Sample(sample.name, sample.image, sample.id, drawn[keys[sample.name]])
        for sample in samples
    ]


def _mask_name(name: str, masks: Mapping[str, Path]) -> str:
    """The name of an image's mask: the same, or without the folders of the image."""
    return name if name in masks else PurePosixPath(name).name


def _opened(source: _Source, names: tuple[str, ...], min_area: float) -> Split:
    samples, known = source.samples, source.annotations
    small = frozenset(
        place
        for place, sample in enumerate(samples)
        if min_area and known.area(sample.id) < min_area
    )
    if len(small) == len(samples):
        raise DataError(
            f"no image of {known.name} has {min_area:g} pixels of a category; lower min_area"
        )
    files = tuple(
        (sample.image, *([sample.mask] if sample.mask else []), source.document)
        for sample in samples
    )
    return Split(
        tuple(sample.name for sample in samples),
        _key(source, names),
        partial(_read, source),
        files=files,
        untrained=small,
    )


def _key(source: _Source, names: tuple[str, ...]) -> str:
    facts = (2, names, source.kind, source.rules, source.shift, source.exif, source.rescale)
    digest = sha256(repr(facts).encode())
    files = [source.document, *(sample.image for sample in source.samples)]
    files += [sample.mask for sample in source.samples if sample.mask]
    for path in files:
        stat = path.stat()
        digest.update(repr((str(path), stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()


def _read(source: _Source, index: int) -> tuple[ImageArray, Mask]:
    sample = source.samples[index]
    image = read_image(sample.image)
    size = (image.shape[0], image.shape[1])
    try:
        mask = _mask(source, sample, size)
    except DataError as error:
        is_named = sample.image.name in str(error)
        raise error if is_named else DataError(f"{sample.image.name}: {error}") from error
    if mask.shape != size:
        raise DataError(
            f"{sample.image.name}: the mask is {regions.dimensions(mask.shape)}, its image "
            f"{regions.dimensions(size)} (height×width)"
        )
    return image, mask


def _mask(source: _Source, sample: _Sample, size: Size) -> Mask:
    ids = source.annotations.labels
    if source.kind == "stuff":
        assert sample.mask is not None
        numbers = {k: label for k, label in ids.items() if isinstance(k, int)}
        known = {k - source.shift: v for k, v in numbers.items() if k >= source.shift}
        table = labels.table(known, others=source.rules.background)
        table[[0 if not source.shift else 255]] = source.rules.ignore
        return labels.translate(read_mask(sample.mask), table)
    found = source.annotations.of(sample.id)
    if source.kind == "panoptic":
        assert sample.mask is not None
        return _rendering.of_segments(
            found,
            ids,
            _segment_ids(sample.mask),
            source.rules,
        )
    return _drawn(source, sample, found, size)


def _drawn(source: _Source, sample: _Sample, found: Sequence[Annotation], size: Size) -> Mask:
    """Instances on the pixels that they are meant for, turned as the image is."""
    if not found:
        return np.full(size, source.rules.background, dtype=np.int32)
    stated = source.annotations.images[sample.id].size or _of_runs(found)
    turn = _frames.orientation(sample.image)
    frame = _frames.frame(stated, size, turn, exif=source.exif, rescale=source.rescale)
    mask = _rendering.of_instances(
        found,
        source.annotations.labels,
        source.rules,
        frame,
        slack=None if stated else _SLACK,
    )
    upright: Mask = frame.upright(mask)
    return upright


def _of_runs(found: Sequence[Annotation]) -> Size | None:
    """The size that the first run-length mask states; a wrong one is reported later."""
    masks = (each.shape for each in found if isinstance(each.shape, Mapping))
    return next((size for mask in masks if (size := regions.size_of(mask))), None)


def _segment_ids(path: Path) -> NDArray[np.int64]:
    """Ids of a panoptic PNG: red, green and blue are digits in base 256, red the lowest."""
    codes = read_colours(path).astype(np.int64)
    ids: NDArray[np.int64] = (codes >> 16) + (codes & 0xFF00) + ((codes & 0xFF) << 16)
    return ids
