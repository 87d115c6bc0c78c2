"""Where a folder keeps its images and masks, told from the names of its files alone."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from unicodedata import normalize

from tuner.errors import DataError
from tuner.training.patterns import is_litter
from tuner.training.pictures import SUFFIXES

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_MASK = re.compile(r"mask|label|annot|segm|target|truth|(^|[_.-])gt|^seg", re.IGNORECASE)
_IMAGE = re.compile(r"image|img|photo|picture|frame|rgb|^input", re.IGNORECASE)
# The split's word stands alone, or before or after a word of the mask: `train`, `trainannot`.
_SPLIT = re.compile(
    r"^(?P<before>|.*[_.-])(?P<word>"
    + "|".join(sorted((word for words in SPLITS.values() for word in words), key=len, reverse=True))
    + r")(?P<after>|[_.-].*|(?:annot|mask|label|gt|img|image).*)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Split:
    """The pairs of one split, as paths below the folder: image and mask share their stem."""

    name: str
    pairs: tuple[tuple[str, str], ...]
    unpaired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Patterns of images and masks, with `{split}` where the split stands, and what they find."""

    images: str
    masks: str
    splits: Mapping[str, Split]

    @property
    def is_split(self) -> bool:
        """Whether the folder tells training from validation."""
        return "{split}" in self.images


@dataclass(slots=True)
class _Group:
    """Files of one folder pattern: word of the split → stem → path."""

    pattern: str
    files: dict[str, dict[str, str]]

    @property
    def is_mask(self) -> bool:
        return any(_MASK.search(part) for part in self.pattern.split("/"))

    @property
    def size(self) -> int:
        return sum(len(stems) for stems in self.files.values())

    def shared(self, other: "_Group") -> int:
        """How many files have a partner of the same split and stem."""
        return sum(
            len(self.files[word].keys() & other.files[word].keys())
            for word in self.files.keys() & other.files.keys()
        )


def find_layout(paths: Iterable[str]) -> Layout:
    """The pair of folder patterns with the most image-mask pairs.

    Raises:
        DataError: no two folders share file names.
    """
    groups = _groups(paths)
    best = max(
        (
            (images.shared(masks), images, masks)
            for images in groups
            for masks in groups
            if masks.is_mask and not images.is_mask
        ),
        key=lambda found: (found[0], -len(found[1].pattern), found[1].pattern),
        default=None,
    )
    if best is None or best[0] == 0:
        raise DataError(_nothing(groups))
    _, images, masks = best
    return Layout(images.pattern, masks.pattern, _splits(images, masks))


def split_of(word: str) -> str:
    """`train`, `val` or `test` for the word that a folder uses."""
    return next((name for name, words in SPLITS.items() if word.lower() in words), word)


def _groups(paths: Iterable[str]) -> list[_Group]:
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for text in sorted(paths):
        path = PurePosixPath(text)
        if path.suffix.lower() in SUFFIXES and not any(map(is_litter, path.parts)):
            pattern, word, name = _place(PurePosixPath(normalize("NFC", str(path.with_suffix("")))))
            found[pattern][word][name] = text
    return [_Group(pattern, dict(files)) for pattern, files in sorted(found.items())]


def _place(path: PurePosixPath) -> tuple[str, str, str]:
    """Folder pattern, word of the split (empty: none), and the name that pairs the file."""
    parts = list(path.parts[:-1])
    word, cut = "", 0
    for index in range(len(parts) - 1, -1, -1):
        match = None if word else _SPLIT.match(parts[index])
        if match:
            word = match["word"]
            parts[index] = f"{match['before']}{{split}}{match['after']}"
        if match or _MASK.search(parts[index]) or _IMAGE.search(parts[index]):
            cut = max(cut, index + 1)
    cut = cut or len(parts)
    return "/".join(parts[:cut]) or ".", word, "/".join((*parts[cut:], path.name))


def _splits(images: _Group, masks: _Group) -> Mapping[str, Split]:
    splits = {}
    for word, files in images.files.items():
        partners = masks.files.get(word, {})
        pairs = tuple((files[stem], partners[stem]) for stem in sorted(files) if stem in partners)
        unpaired = tuple(files[stem] for stem in sorted(files) if stem not in partners)
        splits[split_of(word)] = Split(word, pairs, unpaired)
    return splits


def _nothing(groups: list[_Group]) -> str:
    if not groups:
        return "no image found; expected images/train, labels/train, images/val, labels/val"
    seen = ", ".join(f"{group.pattern} ({group.size} files)" for group in groups[:8])
    return (
        f"no folder of masks matches a folder of images by file name; found {seen}. Call the "
        "masks' folder labels or masks, and each mask like its image: images/train/a.jpg, "
        "labels/train/a.png"
    )
