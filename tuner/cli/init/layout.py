"""Where a folder keeps its images and masks, found by the names of its files alone."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os.path import commonpath
from pathlib import PurePosixPath
from unicodedata import normalize

from tuner.cli.init.pairing import IMAGE, MASK, Candidate, File, Group, candidates
from tuner.errors import DataError
from tuner.training.data.image_files import SUFFIXES
from tuner.training.data.patterns import is_litter
from tuner.wording import quantity

SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# The split's word stands alone, or before or after a word of the mask: `train`, `trainannot`.
_SPLIT = re.compile(
    r"^(?P<before>|.*[_.-])(?P<word>"
    + "|".join(sorted((word for words in SPLITS.values() for word in words), key=len, reverse=True))
    + r")(?P<after>|[_.-].*|(?:annot|mask|label|gt|img|image).*)$",
    re.IGNORECASE,
)
_NAMED = 8


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The pairs of one split, as paths below the folder, and images without a mask."""

    name: str
    pairs: tuple[tuple[str, str], ...]
    unpaired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """Patterns of images and masks, with `{split}` where the split stands, and what they find.

    `extra` are patterns of further channels, `others` those of masks that would pair as well;
    `unused` counts the files of folders that belong to neither.
    """

    images: str
    masks: str
    splits: Mapping[str, SplitFiles]
    extra: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unused: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_split(self) -> bool:
        """Whether the folder tells training from validation."""
        return "{split}" in self.images


def find_layout(paths: Iterable[str]) -> Layout:
    """The patterns with the most pairs of image and mask.

    Raises:
        DataError: no two folders share file names, and no two names in a folder differ by a word.
    """
    paths = list(paths)
    files = _image_files(paths)
    shared = _shared_folder(files)
    groups = _groups(files)
    found = [
        *candidates(groups),
        *(candidates(_groups(files, shared)) if len(groups) > 1 else ()),
        *candidates([_narrowed(group) for group in groups]),
        *candidates(_starred(groups)),
        *_by_folder(files),
    ]
    best = max(found, key=Candidate.rank, default=None)
    if best is None:
        raise DataError(_nothing(groups, paths))
    paths_of = best.images.paths
    alike = {
        each.masks.pattern
        for each in found
        if each.count == best.count
        and each.images.paths == paths_of
        and each.masks.paths != best.masks.paths
    }
    extra = tuple(side.pattern for side in best.extra)
    used = {*paths_of, *best.masks.paths, *(path for side in best.extra for path in side.paths)}
    return Layout(
        best.images.pattern,
        best.masks.pattern,
        _splits(best),
        extra,
        tuple(sorted(alike)),
        Counter(each.parent.as_posix() for each in files if str(each) not in used),
    )


def split_of(word: str) -> str:
    """`train`, `val` or `test` for the word that a folder uses."""
    return next((name for name, words in SPLITS.items() if word.lower() in words), word)


def _image_files(paths: Iterable[str]) -> list[PurePosixPath]:
    found = map(PurePosixPath, sorted(paths))
    return [
        path
        for path in found
        if path.suffix.lower() in SUFFIXES and not any(map(is_litter, path.parts))
    ]


def _shared_folder(files: Sequence[PurePosixPath]) -> int:
    """How many folders every image lies in."""
    folders = [path.parent.as_posix() for path in files]
    return len(PurePosixPath(commonpath(folders)).parts) if folders else 0


def _groups(files: Iterable[PurePosixPath], depth: int | None = None) -> list[Group]:
    """Images by folder; `depth` is that of a folder without any word that says what it holds."""
    found: dict[str, dict[str, list[File]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        plain = PurePosixPath(normalize("NFC", str(path.with_suffix(""))))
        pattern, word, name = _place(plain, depth)
        found[pattern][word].append(File(name, path.suffix, str(path)))
    return [Group(pattern, dict(files)) for pattern, files in sorted(found.items())]


def _place(path: PurePosixPath, depth: int | None) -> tuple[str, str, str]:
    """Folder pattern, word of the split (empty: none), and the name that pairs the file."""
    parts = list(path.parts[:-1])
    word, cut = "", 0
    for index in range(len(parts) - 1, -1, -1):
        match = None if word else _SPLIT.match(parts[index])
        if match:
            word = match["word"]
            parts[index] = f"{match['before']}{{split}}{match['after']}"
        if match or MASK.search(parts[index]) or IMAGE.search(parts[index]):
            cut = max(cut, index + 1)
    cut = cut or (len(parts) if depth is None else depth)
    return "/".join(parts[:cut]) or ".", word, "/".join((*parts[cut:], path.name))


def _narrowed(group: Group) -> Group:
    """The group with the folder that all of its files lie in as a part of its pattern."""
    folder = commonpath([file.name.rpartition("/")[0] for file in group])
    if not folder:
        return group
    files = {
        word: [replace(file, name=file.name[len(folder) + 1 :]) for file in files]
        for word, files in group.files.items()
    }
    return Group(f"{group.pattern}/{folder}", files)


def _starred(groups: Sequence[Group]) -> list[Group]:
    """Groups whose patterns differ in one folder, as one with a `*` for it."""
    alike: dict[str, list[tuple[str, Group]]] = defaultdict(list)
    for group in groups:
        parts = group.pattern.split("/")
        for place, part in enumerate(parts[:-1]):
            if "{split}" not in part:
                alike["/".join([*parts[:place], "*", *parts[place + 1 :]])].append((part, group))
    return [_merged(pattern, each) for pattern, each in alike.items() if len(each) > 1]


def _merged(pattern: str, groups: Sequence[tuple[str, Group]]) -> Group:
    files: dict[str, list[File]] = defaultdict(list)
    for part, group in groups:
        for word, each in group.files.items():
            files[word] += [replace(file, name=f"{part}/{file.name}") for file in each]
    return Group(
        pattern, dict(files), is_deep=any(f.name.count("/") > 1 for _, g in groups for f in g)
    )


def _by_folder(files: Iterable[PurePosixPath]) -> list[Candidate]:
    """A folder for each sample, in which image and mask have the same names as in every other."""
    groups: dict[tuple[str, str], dict[str, list[File]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        if path.parent.name and not _SPLIT.match(path.parent.name):
            pattern, word, _ = _place(path.parent, None)
            pattern = f"{pattern}/*/{path.name}".removeprefix("./")
            file = File(path.parent.name, path.suffix, str(path))
            groups[pattern, path.stem][word].append(file)
    sides = [
        Group(pattern, dict(files))
        for (pattern, _), files in groups.items()
        if sum(map(len, files.values())) > 1
    ]
    return candidates(sides) if len(sides) < len(groups) or len(sides) <= _NAMED else []


def _splits(best: Candidate) -> Mapping[str, SplitFiles]:
    splits = {}
    for word, files in best.images.files.items():
        partners = best.masks.files.get(word, {})
        pairs = tuple((files[name], partners[name]) for name in sorted(files) if name in partners)
        unpaired = tuple(files[name] for name in sorted(files) if name not in partners)
        splits[split_of(word)] = SplitFiles(word, pairs, unpaired)
    return splits


def _nothing(groups: Sequence[Group], paths: Iterable[str]) -> str:
    if not groups:
        kinds = sorted({"".join(PurePosixPath(path).suffixes[-2:]) for path in paths} - {""})
        seen = f"; it holds files of type {', '.join(kinds[:_NAMED])}" if kinds else ""
        return (
            "no image found; expected images/train, labels/train, images/val, labels/val with "
            f"PNG, JPEG or TIFF files{seen}"
        )
    seen = ", ".join(
        f"{group.pattern} ({quantity(group.size, 'file')})" for group in groups[:_NAMED]
    )
    return (
        f"no folder of masks matches a folder of images by file name; found {seen}. Call the "
        "masks' folder labels or masks, and each mask like its image: images/train/a.jpg, "
        "labels/train/a.png; or a.png and a_mask.png in one folder"
    )
