"""COCO annotation files as every tool writes them: read once, and each fault is reported once.

Ids may be numbers or their text. A file is refused where what it says would be lost: annotations of
images or categories that it does not list, ids that stand for two things, missing keys.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from tuner.errors import DataError
from tuner.spec.config import Size
from tuner.spec.hints import nearest
from tuner.training import paths
from tuner.training.data.regions import shown
from tuner.wording import quantity

Id = int | str
Kind = Literal["instances", "panoptic", "stuff"]
BACKGROUND = "background"  # the class of what is of no category
_NAMED = 5
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_CROWD: Mapping[object, bool] = {0: False, 1: True, "0": False, "1": True, None: False}


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as the file lists it; its height and width where they are stated."""

    name: str
    size: Size | None


@dataclass(frozen=True, slots=True)
class Annotation:
    """One instance, or one segment of a panoptic PNG.

    `name` is what messages call it; `shape` is its segmentation, or the segment's id.
    """

    name: str
    category: Id
    shape: Any
    is_crowd: bool
    area: object


@dataclass(slots=True)
class Index:
    """What is small in a file: images and category names by id, and notes on its annotations."""

    images: dict[Id, Listed] = field(default_factory=dict)
    categories: dict[Id, str] = field(default_factory=dict)
    bare: dict[Id, list[str]] = field(default_factory=lambda: defaultdict(list))
    crowds: dict[Id, int] = field(default_factory=lambda: defaultdict(int))
    single: dict[Id, int] = field(default_factory=lambda: defaultdict(int))


class Annotations:
    """What a file says of each image, by the image's id.

    The index is read at once, and kept for the process: it takes seconds on large sets. The
    annotations wait until one is asked for; then they are read once for all threads.
    """

    def __init__(
        self, path: Path, kind: Kind, categories: Sequence[str], *, background: str
    ) -> None:
        self._path, self._kind = path, kind
        self.name = path.name
        stat = path.stat()
        self._index = _index(path, kind, (stat.st_size, stat.st_mtime_ns))
        self.labels = self._numbered(categories, background)
        self._lock = Lock()
        self._found: dict[Id, list[Annotation]] | None = None

    @property
    def images(self) -> Mapping[Id, Listed]:
        """The images that the file lists, by id."""
        return self._index.images

    def of(self, image: Id) -> Sequence[Annotation]:
        """The annotations of an image whose categories are classes; all segments of a PNG."""
        with self._lock:
            if self._found is None:
                self._found = _read(self._path, self._kind)[1]
        found = self._found.get(image, [])
        if self._kind == "panoptic":
            return found
        return [each for each in found if each.category in self.labels]

    def area(self, image: Id) -> float:
        """Area that the kept annotations of an image state, in pixels. Raises DataError."""
        return sum(self._area(each) for each in self.of(image))

    def refuse_lost(self, *, ignore_crowd: bool) -> None:
        """Raise DataError where no mask can be drawn of what the classes are annotated with."""
        bare = [name for label in self.labels for name in self._index.bare.get(label, ())]
        if bare:
            raise DataError(
                f"{self._path.name}: {_listed(bare)} {_has(bare)} no segmentation, and a bounding "
                "box is not a mask; export polygons or masks, or take them out"
            )
        crowds = sum(self._index.crowds.get(label, 0) for label in self.labels)
        if ignore_crowd and crowds and not any(map(self._index.single.get, self.labels)):
            raise DataError(
                f"{self._path.name}: the classes have crowds only "
                f"({quantity(crowds, 'annotation')} with iscrowd: 1), whose pixels are ignored; "
                "CVAT writes brushed masks so: write `crowd: label`"
            )

    def _area(self, each: Annotation) -> float:
        is_number = isinstance(each.area, int | float) and not isinstance(each.area, bool)
        if not is_number or not isfinite(each.area):  # type: ignore[arg-type]  # a number by now
            raise DataError(
                f"{self._path.name}: {each.name} states the area {shown(each.area)}, but min_area "
                "needs a number of pixels; state it, or leave min_area out"
            )
        return float(each.area)  # type: ignore[arg-type]

    def _numbered(self, categories: Sequence[str], background: str) -> Mapping[Id, int]:
        known = self._index.categories
        wanted = {name: place for place, name in enumerate(categories) if name != background}
        if unknown := [name for name in wanted if name not in known.values()]:
            raise DataError(
                f"{self._path.name} has no category '{unknown[0]}'; "
                f"{nearest(unknown[0], sorted(set(known.values())))}"
            )
        return {id_: wanted[name] for id_, name in known.items() if name in wanted}


def category_names(path: Path) -> tuple[str, ...]:
    """Names of the categories of a file in order of their ids, each once. Raises DataError.

    A category without annotations that others name as their `supercategory` only groups them, as in
    the files of Roboflow, and is left out.
    """
    document = _document(path)
    entries = _entries(document, "categories", path)
    named = _categories(entries, path)
    above = {shown(each.get("supercategory")) for each in entries}
    used = {_id(each.get("category_id")) for each in _entries(document, "annotations", path)}
    kept = [id_ for id_, name in named.items() if id_ in used or shown(name) not in above]
    kept.sort(key=lambda id_: (isinstance(id_, str), id_))
    return tuple(dict.fromkeys(named[id_] for id_ in kept))


@lru_cache(maxsize=8)
def _index(path: Path, kind: Kind, _version: tuple[int, int]) -> Index:
    return _read(path, kind)[0]


def _read(path: Path, kind: Kind) -> tuple[Index, dict[Id, list[Annotation]]]:
    """The whole file. Raises DataError with the number of faults of a kind and the first few."""
    document = _document(path)
    index = Index(categories=_categories(_entries(document, "categories", path), path))
    if kind == "stuff":  # its PNGs say all but the names
        return index, {}
    index.images = _images(_entries(document, "images", path), path)
    found: dict[Id, list[Annotation]] = defaultdict(list)
    faults = _Faults(path)
    entries = _entries(document, "annotations", path)
    for entry, image, name in _of_images(entries, index.images, faults):
        if kind == "panoptic":
            found[image] += _segments(entry, name, faults)
        else:
            found[image].append(_annotation(entry, entry.get("segmentation"), name, faults))
    for each in (each for group in found.values() for each in group):
        _note(each, index, kind, faults)
    faults.tell()
    if kind == "instances":
        _refuse_shares(found, path)
    return index, found


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())  # UTF-8, -16 or -32, with a byte-order mark or not
    except OSError as error:
        raise paths.unreadable(path.name, error) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: is not a COCO annotation file ({error})") from error
    if not isinstance(document, dict):
        raise DataError(
            f"{path.name}: is not a COCO annotation file: it holds a {type(document).__name__}, "
            "not an object with images, annotations and categories; export the data set as COCO"
        )
    return document


def _entries(document: Mapping[str, Any], key: str, path: Path) -> Sequence[Mapping[str, Any]]:
    found = document.get(key)
    if not isinstance(found, list):
        what = f"is {shown(found)}" if key in document else "is missing"
        raise DataError(
            f"{path.name}: is not a COCO annotation file: `{key}` {what}, and a list of objects is "
            "needed; export the data set as COCO"
        )
    if odd := [each for each in found if not isinstance(each, dict)]:
        raise DataError(f"{path.name}: `{key}` holds {shown(odd[0])}, which is not an object")
    return found


def _categories(entries: Iterable[Mapping[str, Any]], path: Path) -> dict[Id, str]:
    found: dict[Id, str] = {}
    for entry in entries:
        id_, name = _identified(entry, "a category", "name", path)
        if found.setdefault(id_, name.strip()) != name.strip():
            raise DataError(
                f"{path.name}: category id {id_} is both '{found[id_]}' and '{name}'; "
                "give each category an id of its own"
            )
    return found


def _images(entries: Iterable[Mapping[str, Any]], path: Path) -> dict[Id, Listed]:
    found: dict[Id, Listed] = {}
    for entry in entries:
        id_, name = _identified(entry, "an image", "file_name", path)
        if id_ in found:
            raise DataError(
                f"{path.name}: image id {id_} is used twice, for {found[id_].name} and {name}; "
                "give each image an id of its own, or its annotations belong to either"
            )
        found[id_] = Listed(name, _size(entry, name, path))
    return found


def _identified(entry: Mapping[str, Any], what: str, key: str, path: Path) -> tuple[Id, str]:
    """An entry's id, and its name under a key. Raises DataError."""
    id_, name = _id(entry.get("id")), entry.get(key)
    if id_ is None or not isinstance(name, str) or not name.strip():
        raise DataError(
            f"{path.name}: {what} has the id {shown(entry.get('id'))} and the {key} {shown(name)}; "
            f"an id is a number or a text, a {key} is a text"
        )
    return id_, name


def _size(entry: Mapping[str, Any], name: str, path: Path) -> Size | None:
    """The height and width of an image; None where a tool did not know them."""
    height, width = (_id(entry.get(side) or 0) for side in ("height", "width"))
    if height == 0 or width == 0:
        return None
    if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 0:
        raise DataError(
            f"{path.name}: image {name} has the height {shown(entry.get('height'))} and the width "
            f"{shown(entry.get('width'))}; both are whole numbers of pixels"
        )
    return height, width


def _of_images(
    entries: Iterable[Mapping[str, Any]], images: Mapping[Id, Listed], faults: "_Faults"
) -> Iterator[tuple[Mapping[str, Any], Id, str]]:
    """Each annotation with its image and what to call it."""
    for place, entry in enumerate(entries):
        own = entry.get("id")
        called = f"annotation {own}" if own is not None else f"annotation number {place + 1}"
        image = _id(entry.get("image_id"))
        if image is None or image not in images:
            what = f"{called} (image_id {shown(entry.get('image_id'))})"
            faults.add(what, "of an image that `images` does not list; list it, or take them out")
            continue
        yield entry, image, f"{called} of {images[image].name}"


def _segments(entry: Mapping[str, Any], name: str, faults: "_Faults") -> Iterator[Annotation]:
    """The segments of an image's panoptic PNG."""
    segments = entry.get("segments_info")
    if not isinstance(segments, list):
        faults.add(f"{name} (segments_info {shown(segments)})", "without a list `segments_info`")
        return
    for segment in segments:
        if not isinstance(segment, dict) or not isinstance(segment.get("id"), int):
            faults.add(f"{name} ({shown(segment)})", "with a segment that has no number `id`")
            continue
        yield _annotation(segment, segment["id"], f"segment {segment['id']} of {name}", faults)


def _annotation(
    entry: Mapping[str, Any], shape: object, name: str, faults: "_Faults"
) -> Annotation:
    category, crowd = _id(entry.get("category_id")), entry.get("iscrowd")
    if category is None:
        what = f"{name} (category_id {shown(entry.get('category_id'))})"
        faults.add(what, "without a category_id that is one number or text")
    if not isinstance(crowd, int | float | str | None) or crowd not in _CROWD:
        faults.add(f"{name} (iscrowd {shown(crowd)})", "whose iscrowd is neither 0 nor 1")
        crowd = 0
    area = entry.get("area")
    return Annotation(name, "" if category is None else category, shape, _CROWD[crowd], area)


def _note(each: Annotation, index: Index, kind: Kind, faults: "_Faults") -> None:
    """Keep in the index what is known of an annotation without its shape."""
    if each.category != "" and each.category not in index.categories:
        what = f"{each.name} (category_id {shown(each.category)})"
        faults.add(what, "of a category that `categories` does not list; list it, or take them out")
    if kind == "instances" and each.shape in (None, []):
        index.bare[each.category].append(each.name)
    (index.crowds if each.is_crowd else index.single)[each.category] += 1


def _refuse_shares(found: Mapping[Id, Sequence[Annotation]], path: Path) -> None:
    """Polygons in shares of the image would all lie in its first pixel."""
    has_share = False
    for each in (each for group in found.values() for each in group):
        for number in _numbers(each.shape):
            if not 0 <= number <= 1:
                return
            has_share |= 0 < number < 1
    if has_share:
        raise DataError(
            f"{path.name}: every corner of every polygon is between 0 and 1, so that they seem "
            "to be shares of the image; COCO has pixels: multiply x by the width, y by the height"
        )


def _numbers(shape: object) -> Iterator[float]:
    """Every number of polygons; one that is beyond all shares where there is anything else."""
    for polygon in shape if isinstance(shape, list) else [shape]:
        for number in polygon if isinstance(polygon, list) else [polygon]:
            yield number if isinstance(number, int | float) else 2.0


class _Faults:
    """Faults by kind: the whole file is read, then the first kind is reported with its number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, list[str]] = defaultdict(list)

    def add(self, what: str, fault: str) -> None:
        """Take note of something and its fault."""
        self._found[fault].append(what)

    def tell(self) -> None:
        """Raise DataError if there was any."""
        for fault, names in self._found.items():
            raise DataError(
                f"{self._path.name}: {_listed(names)} {'is' if len(names) == 1 else 'are'} {fault}"
            )


def _listed(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _has(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _id(value: object) -> Id | None:
    """An id as a number where it is one, or the text of one; None for what is not an id."""
    if isinstance(value, str) and value.strip():
        return int(value) if _NUMBER.fullmatch(value) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
