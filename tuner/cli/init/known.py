"""Data sets and exports that have a format of their own, found by the names of their files."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import commonpath
from pathlib import Path, PurePosixPath
from typing import Any

from tuner.cli.init.labels import valid_names
from tuner.cli.init.layout import SPLITS
from tuner.errors import DataError
from tuner.training.data.annotations import BACKGROUND, category_names
from tuner.training.data.image_files import SUFFIXES
from tuner.training.data.listed import located

_CAMVID = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_", re.IGNORECASE)
_TRIED = 20
_MOST = 50  # JSON files that are looked into, the largest; many tools write one an image
_LARGE = 1 << 26  # bytes


@dataclass(frozen=True, slots=True)
class KnownFormat:
    """A data set format with its options; `classes` are empty where the format knows them.

    `below` is the folder that is the format's root.
    """

    format: str
    below: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    has_val: bool = True
    note: str = ""


def recognised(folder: Path, paths: Sequence[str]) -> Iterator[KnownFormat]:
    """The formats that the files look like, the likeliest first. Raises DataError."""
    files = frozenset(paths)
    yield from _cityscapes(files)
    yield from _voc(files)
    yield from _ade20k(files)
    yield from _camvid(files)
    yield from _coco(folder, files)


def _cityscapes(files: frozenset[str]) -> Iterator[KnownFormat]:
    for root in _roots(files, "leftImg8bit/train/"):
        masks = [path for path in files if path.startswith(f"{root}gtFine/")]
        has_ids = any(path.endswith("_gtFine_labelIds.png") for path in masks)
        if not has_ids and not any(path.endswith("_gtFine_labelTrainIds.png") for path in masks):
            continue
        options = {} if has_ids else {"labels": "labelTrainIds"}
        has_val = any(path.startswith(f"{root}gtFine/val/") for path in masks)
        yield KnownFormat("cityscapes", root, options, has_val=has_val)


def _voc(files: frozenset[str]) -> Iterator[KnownFormat]:
    lists = "ImageSets/Segmentation/"
    for root in _roots(files, lists):
        has_names = f"{root}labelmap.txt" in files  # classes of its own, as CVAT exports them
        if f"{root}{lists}train.txt" in files and not has_names:
            yield KnownFormat("voc", root, has_val=f"{root}{lists}val.txt" in files)


def _ade20k(files: frozenset[str]) -> Iterator[KnownFormat]:
    for root in _roots(files, "annotations/training/"):
        is_named = any(
            PurePosixPath(path).name.startswith("ADE_")
            for path in files
            if path.startswith(f"{root}images/training/")
        )
        if is_named or f"{root}objectInfo150.txt" in files:
            has_val = any(path.startswith(f"{root}annotations/validation/") for path in files)
            yield KnownFormat("ade20k", root, has_val=has_val)


def _camvid(files: frozenset[str]) -> Iterator[KnownFormat]:
    for masks, val in (("trainannot/", "valannot/"), ("labels/train/", "labels/val/")):
        for root in _roots(files, masks):
            names = [
                path.removeprefix(f"{root}{masks}")
                for path in files
                if path.startswith(f"{root}{masks}")
            ]
            if names and all(map(_CAMVID.match, names)):
                has_val = any(path.startswith(f"{root}{val}") for path in files)
                yield KnownFormat("camvid", root, has_val=has_val)


def _roots(files: Iterable[str], part: str) -> list[str]:
    """Folders, with their slash, below which that part of a path lies."""
    found = {
        path[: path.index(part)] for path in files if path.startswith(part) or f"/{part}" in path
    }
    return sorted(root for root in found if not root or root.endswith("/"))


# ── COCO ────────────────────────────────────────────────────────────────────────────────────────


def _coco(folder: Path, files: frozenset[str]) -> Iterator[KnownFormat]:
    """Annotation files of COCO and of its exporters, wherever they and their images lie."""
    texts = [path for path in files if path.endswith(".json")]
    texts.sort(key=lambda path: (-(folder / path).stat().st_size, path))
    documents = sorted(path for path in texts[:_MOST] if _is_coco(folder / path))
    if not documents:
        return
    places = {path: _images(folder, path, files) for path in documents}
    for template, words in _templates(documents):
        if "train" not in words:
            continue
        yield _split(folder, template, words, places)
        return
    largest = max(documents, key=lambda path: (folder / path).stat().st_size)
    images = places[largest]
    options = {"images": images, "annotations": largest}
    yield _of_categories(folder / largest, options, has_val=False)


def _is_coco(path: Path) -> bool:
    """Whether a JSON file has images, annotations and categories, without reading large ones."""
    if path.stat().st_size > _LARGE:
        return path.name.startswith("instances_")
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(document, dict) or not {"images", "annotations", "categories"} <= set(
        document
    ):
        return False
    notes = document["annotations"]
    return not (
        isinstance(notes, list)
        and notes
        and isinstance(notes[0], dict)
        and "segments_info" in notes[0]
    )


def _templates(documents: Sequence[str]) -> list[tuple[str, dict[str, tuple[str, str]]]]:
    """Paths with `{split}` in the place of a split's word: split → (word, path)."""
    found: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for path in documents:
        for split, words in SPLITS.items():
            for word in words:
                for match in re.finditer(rf"(?<![A-Za-z]){word}(?![A-Za-z])", path, re.IGNORECASE):
                    template = f"{path[: match.start()]}{{split}}{path[match.end() :]}"
                    found[template].setdefault(split, (match[0], path))
    return sorted(found.items(), key=lambda each: (-("val" in each[1]), each[0]))


def _split(
    folder: Path,
    template: str,
    words: Mapping[str, tuple[str, str]],
    places: Mapping[str, str],
) -> KnownFormat:
    """Files for training, and for validation if there are any."""
    word, path = words["train"]
    images = re.sub(rf"(?<![A-Za-z]){word}(?![A-Za-z])", "{split}", places[path])
    options: dict[str, Any] = {"images": images, "annotations": template}
    if word != "train":
        options["train"] = word
    has_val = (
        "val" in words and images.replace("{split}", words["val"][0]) == places[words["val"][1]]
    )
    if "val" in words and not has_val:
        options |= {"images": commonpath([places[path], places[words["val"][1]]]) or "."}
        has_val = True
    if has_val and words["val"][0] != "val":
        options["val"] = words["val"][0]
    if "test" in words and words["test"][0] != "test":
        options["test"] = words["test"][0]
    defaults = {"images": "{split}2017", "annotations": "annotations/instances_{split}2017.json"}
    options = {key: value for key, value in options.items() if defaults.get(key) != value}
    return _of_categories(folder / path, options, has_val=has_val)


def _of_categories(path: Path, options: Mapping[str, Any], *, has_val: bool) -> KnownFormat:
    """COCO with the categories of its file as classes. Raises DataError."""
    names = (BACKGROUND, *(name for name in category_names(path) if name != BACKGROUND))
    if len(names) < 2:
        raise DataError(f"{path.name}: lists no categories; export the data set with its classes")
    classes = valid_names(names)
    renamed = {} if classes == names else {"categories": list(names)}
    return KnownFormat("coco", options={**options, **renamed}, classes=classes, has_val=has_val)


def _images(folder: Path, document: str, files: frozenset[str]) -> str:
    """The folder that the images of an annotation file lie in."""
    entries = json.loads((folder / document).read_bytes())["images"]
    entries = [each for each in entries or () if isinstance(each, dict)]
    named = [str(each.get("file_name")) for each in entries]
    tails = {PurePosixPath(name.replace("\\", "/")).stem for name in named[:_TRIED]}
    home = PurePosixPath(document).parent
    votes: Counter[str] = Counter()
    for path in files:
        place = PurePosixPath(path)
        if place.suffix.lower() in SUFFIXES and place.stem in tails:
            votes[place.parent.as_posix()] += 1
    if not votes:
        votes[home.as_posix()] = 1
    ranked = sorted(votes, key=lambda each: (-votes[each], not _is_beside(each, document), each))
    for images in (*ranked, commonpath(ranked) or "."):
        try:
            located(dict(enumerate(named)), folder, images, (folder.resolve(),), document=document)
        except DataError:
            continue
        return images
    return ranked[0]


def _is_beside(images: str, document: str) -> bool:
    """Whether a folder of images has the split's word of the annotation file."""
    words = {word for words in SPLITS.values() for word in words if word in document.lower()}
    return any(word in images.lower() for word in words)
