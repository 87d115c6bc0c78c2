"""What `segtune predict` is given: files, folders and patterns, and where their results go."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from tuner.errors import InvalidInput, NotFound, Problem
from tuner.training.data.image_files import SUFFIXES

VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"})


@dataclass(frozen=True, slots=True)
class InputFile:
    """An image or a video, and its result's place: a PNG, for a video a folder of them."""

    path: Path
    target: Path

    @property
    def is_video(self) -> bool:
        """Whether it holds frames, by its name."""
        return self.path.suffix.lower() in VIDEOS


def sources(inputs: Sequence[str], out: Path) -> list[InputFile]:
    """The images and videos of all inputs, in order; what lies below `out` is not one.

    A folder's files keep their place below it; a file's and a pattern's result bears its name.

    Raises:
        NotFound: an input names nothing, or a folder without images.
        InvalidInput: two inputs would be written to one place.
    """
    found = [source for given in inputs for source in _of(given, out)]
    places: dict[Path, Path] = {}
    for source in found:
        other = places.setdefault(source.target, source.path)
        if other != source.path:
            raise InvalidInput(
                [
                    Problem(
                        (),
                        f"{other} and {source.path} would both be written to {source.target}; "
                        "give their common folder, or run them one by one",
                    )
                ]
            )
    return list({source.target: source for source in found}.values())


def _of(given: str, out: Path) -> Iterator[InputFile]:
    path = Path(given)
    if path.is_dir():
        files = [file for file in _below(path) if not file.is_relative_to(out)]
        if not files:
            known = ", ".join(sorted(SUFFIXES | VIDEOS))
            raise NotFound(f"the folder {given} holds no image and no video ({known})")
        for file in files:
            yield InputFile(file, _target(file, file.relative_to(path)))
        return
    files = [path] if path.is_file() or not has_magic(given) else _matching(given)
    if not files or not files[0].is_file():
        raise NotFound(f"there is no {given}; name images, videos, folders or patterns of them")
    for file in files:
        yield InputFile(file, _target(file, Path(file.name)))


def _below(folder: Path) -> list[Path]:
    """Images and videos below a folder; hidden files and folders are passed over."""
    found: list[Path] = []
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = (Path(base) / name for name in sorted(names) if not name.startswith("."))
        found += [file for file in here if file.suffix.lower() in SUFFIXES | VIDEOS]
    return found


def _matching(pattern: str) -> list[Path]:
    names = glob(pattern, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute pattern
    return sorted(path for path in map(Path, names) if path.is_file())


def _target(file: Path, place: Path) -> Path:
    return place.with_suffix("") if file.suffix.lower() in VIDEOS else place.with_suffix(".png")
