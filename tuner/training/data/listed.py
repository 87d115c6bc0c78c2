"""Finds the image files that an annotation file lists, under the names that tools give them.

Names come with the folders of another machine, backslashes, %-escapes, whole addresses, or another
file type. A name stands for a file whose path below the image folder is the name or its end, or
ends on the name; where that leaves a choice, it is refused.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from tuner.errors import DataError, DataUnavailable
from tuner.training import paths
from tuner.training.data import pairs
from tuner.training.data.image_files import SUFFIXES
from tuner.wording import quantity

_Id = int | str


def located(
    names: Mapping[_Id, str], base: Path, pattern: str, roots: Sequence[Path], *, document: str
) -> dict[_Id, tuple[str, Path]]:
    """A short name and the file of each image, by id; names are by id too.

    Raises:
        DataError: a file is not there, is not distinct from another, or is named twice.
    """
    files = _files(base, pattern, roots)
    shelf = _Shelf(files)
    found: dict[_Id, Path] = {}
    owner: dict[Path, _Id] = {}
    lost: list[str] = []
    for id_, name in names.items():
        path = shelf.find(name, document)
        if path is None:
            lost.append(name)
            continue
        if path in owner:
            raise DataError(
                f"{document}: images {owner[path]} and {id_} ('{names[owner[path]]}' and '{name}') "
                f"are one file below '{pattern}', {path.name}; list each image once"
            )
        owner[path], found[id_] = id_, path
    if lost:
        raise DataUnavailable(
            f"{document} lists {quantity(len(names), 'image')}, of which {pairs.counted(lost)} "
            f"{'is' if len(lost) == 1 else 'are'} not below '{pattern}' of {base.name}; put them "
            "there, take them out of the file, or name their folder in `images`"
        )
    return dict(zip(found, _short(list(found.values()), files), strict=True))


class _Shelf:
    """Files by path and by what is left of it without the file type."""

    def __init__(self, files: Mapping[Path, str]) -> None:
        self._by_path = {name: path for path, name in files.items()}
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        self._by_last: dict[str, list[str]] = defaultdict(list)
        for name in files.values():
            self._by_stem[_stem(name)].append(name)
            self._by_last[PurePosixPath(_stem(name)).name].append(name)

    def find(self, name: str, document: str) -> Path | None:
        """The file that a name stands for, or None. Raises DataError where several may be meant."""
        readings = list(_readings(name))
        for reading in readings:
            for end in _ends(reading):
                if end in self._by_path:
                    return self._by_path[end]
        for reading in readings:
            for end in _ends(reading):
                if found := self._by_stem.get(_stem(end)):
                    return self._only(name, found, document)
            if found := self._below(reading):
                return self._only(name, found, document)
        return None

    def _below(self, reading: str) -> list[str]:
        """Files in deeper folders whose path ends on the name, with its file type or any."""
        whole = "/".join(_names(reading))
        near = [
            name
            for name in self._by_last.get(PurePosixPath(_stem(whole)).name, ())
            if _stem(name).endswith(f"/{_stem(whole)}")
        ]
        return [name for name in near if name.endswith(f"/{whole}")] or near

    def _only(self, name: str, found: Sequence[str], document: str) -> Path:
        if len(found) > 1:
            raise DataError(
                f"{document}: the image '{name}' may be any of {pairs.counted(sorted(found))}; "
                "let the file name its folder"
            )
        return self._by_path[found[0]]


def _readings(name: str) -> Iterator[str]:
    """What a name may mean, as it stands first."""
    texts = [name, name.replace("\\", "/")]
    if "?" in name:
        address = urlsplit(name)
        # Label Studio serves local files as /data/local-files/?d=folder/name.jpg.
        texts += [*parse_qs(address.query).get("d", ()), address.path]
    for text in dict.fromkeys([*texts, *map(unquote, texts)]):
        yield unicodedata.normalize("NFC", text)


def _names(reading: str) -> list[str]:
    return [part for part in reading.split("/") if part not in ("", ".", "..")]


def _ends(reading: str) -> Iterator[str]:
    """The name, and what is left of it without one leading folder after the other."""
    parts = _names(reading)
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _stem(name: str) -> str:
    """The name without a file type that images have; `scene.v2` is all name."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else name


def _files(base: Path, pattern: str, roots: Sequence[Path]) -> dict[Path, str]:
    """Image files in a folder or matching a pattern, with their names there."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise DataError(f"pattern '{pattern}' leaves the data set's root; name a path below it")
    folder = base / pattern
    is_folder = folder.is_dir()
    found = sorted(folder.rglob("*") if is_folder else base.glob(pattern))
    files = [
        path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    if not files:
        raise DataUnavailable(f"no image file matches '{pattern}' below {base.name}")
    outside = [path.name for path in files if not paths.is_allowed(path, roots)]
    if outside:
        raise DataError(
            f"{pairs.counted(outside)} below '{pattern}' lead outside the allowed roots"
        )
    above = folder if is_folder else base
    return {
        path: unicodedata.normalize("NFC", path.relative_to(above).as_posix()) for path in files
    }


def _short(found: Sequence[Path], files: Mapping[Path, str]) -> list[tuple[str, Path]]:
    """Each file with its name, less the file type where no other file has the same name then."""
    stems: dict[str, int] = defaultdict(int)
    for path in found:
        stems[_stem(files[path])] += 1
    return [
        (_stem(files[path]) if stems[_stem(files[path])] == 1 else files[path], path)
        for path in found
    ]
