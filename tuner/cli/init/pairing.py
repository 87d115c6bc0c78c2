"""Ways in which files of two folders, or of one, may pair: by name, by type, by an affix."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tuner.training.data import suggestions
from tuner.training.data.patterns import is_wild

MASK = re.compile(
    r"mask|label|annot|segm|target|truth|manual|matte|(^|[_.-])(gt|seg)([_.-]|$)|^(gt|seg)",
    re.IGNORECASE,
)
IMAGE = re.compile(r"image|img|photo|picture|frame|rgb|^input|scan|still", re.IGNORECASE)
# Masks made to be looked at, or of instances, beside those of classes.
_SECOND = re.compile(r"human|colou?r|instance|object|overlay|visual|preview|polygon", re.IGNORECASE)
_MANUAL = re.compile("manual|truth", re.IGNORECASE)
_ENDS = (re.compile(r"[^0-9]*$"), re.compile(r"^[^0-9]*"))  # behind, before all digits
_LETTER = re.compile(r"^[_-](L|P|M|GT|Seg)$")
_PHOTOS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
_MOST = 40  # groups compared with each other by affix
_ENOUGH = 0.5
_ENDINGS = 6
Affix = tuple[str, str]


@dataclass(frozen=True, slots=True)
class File:
    """An image: its path, and below its folder's pattern its name and its type."""

    name: str
    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Group:
    """Files of one folder pattern by the word of their split."""

    pattern: str
    files: Mapping[str, Sequence[File]]
    is_deep: bool = False  # whether files lie in folders below the pattern's

    @property
    def size(self) -> int:
        """Number of files."""
        return sum(map(len, self.files.values()))

    def __iter__(self) -> Iterator[File]:
        """Every file."""
        return (file for files in self.files.values() for file in files)


@dataclass(frozen=True, slots=True)
class Side:
    """A pattern, and the path of each name that it finds, by the word of the split."""

    pattern: str
    files: Mapping[str, Mapping[str, str]]

    @property
    def paths(self) -> frozenset[str]:
        """Every file."""
        return frozenset(path for names in self.files.values() for path in names.values())


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two patterns whose files pair, and how much the names speak for which are the masks."""

    images: Side
    masks: Side
    score: float
    extra: tuple[Side, ...] = ()
    count: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", _shared(self.images, self.masks))

    def rank(self) -> tuple[float, ...]:
        """The best of several is the one with most pairs, then the one with plainer names."""
        patterns = len(self.images.pattern) + len(self.masks.pattern)
        has_wild = is_wild(self.images.pattern) or is_wild(self.masks.pattern)
        return (self.count, self.score, -has_wild, -patterns)


def candidates(groups: Sequence[Group]) -> list[Candidate]:
    """Every way to pair files, of those that pair any."""
    found: list[Candidate] = []
    large = sorted(groups, key=lambda group: -group.size)[:_MOST]
    for images in groups:
        for masks in groups:
            score = _likeness(images, masks) if images is not masks else 0
            if score > 0:
                same = Candidate(_whole(images), _masks(images, masks), score)
                found.append(same)
                is_worth = images in large and masks in large
                if is_worth and same.count < _ENOUGH * images.size:
                    found += _by_affix(images, masks, score)
    for group in groups:
        found += _within(group)
    return [each for each in found if each.count]


def _likeness(images: Group, masks: Group) -> float:
    """How much the names speak for the one folder holding the masks of the other; 0: nothing."""
    parts, others = images.pattern.split("/"), masks.pattern.split("/")
    own = [part for part in parts if part not in others]
    drawn = [part for part in others if part not in parts]
    score = 2.0 * _any(MASK, drawn) - 2 * _any(MASK, own) + _any(IMAGE, own) - _any(IMAGE, drawn)
    if score <= 0 and _are_photos(images) and not any(f.kind.lower() in _PHOTOS for f in masks):
        score = 0.5 if score == 0 else score
    bonus = 0.25 * _any(_MANUAL, drawn) - 0.5 * _any(_SECOND, drawn)
    return score + bonus if score > 0 else 0


def _any(words: re.Pattern[str], parts: Iterable[str]) -> bool:
    return any(words.search(part) for part in parts)


def _are_photos(files: Iterable[File]) -> bool:
    return all(file.kind.lower() in _PHOTOS for file in files)


def _whole(group: Group) -> Side:
    """All files of a folder, or those of its most frequent type where two would have one name."""
    kinds = Counter(file.kind for file in group)
    doubled = any(len({f.name for f in files}) < len(files) for files in group.files.values())
    if doubled and len(kinds) > 1:
        return _of_kind(group, max(sorted(kinds), key=lambda kind: kinds[kind]))
    pattern = group.pattern
    if is_wild(pattern) and "." not in pattern.rpartition("/")[2]:
        pattern = _pattern(group, ("", ""), kinds)
    return Side(pattern, _named(group, lambda file: file.name))


def _masks(images: Group, masks: Group) -> Side:
    """The masks by the names of their images, whose whole name a mask may have: `a.jpg.png`."""
    whole = {f"{file.name}{file.kind}": file.name for file in images}
    side = _whole(masks)
    files = {
        word: {whole.get(name, name): path for name, path in names.items()}
        for word, names in side.files.items()
    }
    return Side(side.pattern, files)


def _of_kind(group: Group, kind: str) -> Side:
    files = _named(group, lambda file: file.name if file.kind == kind else None)
    return Side(_pattern(group, ("", ""), [kind]), files)


def _with_affix(group: Group, affix: Affix) -> Side:
    files = _named(group, lambda file: suggestions.core(file.name, *affix))
    kept = [file.kind for file in group if suggestions.core(file.name, *affix)]
    return Side(_pattern(group, affix, kept), files)


def _by_affix(images: Group, masks: Group, score: float) -> Iterator[Candidate]:
    names, drawn = ([file.name for file in group] for group in (images, masks))
    for affix in suggestions.affixes(drawn, set(names))[:3]:
        yield Candidate(_whole(images), _with_affix(masks, affix), score)
    if found := sorted(suggestions.affixes(names, set(drawn))):
        first, *further = (_with_affix(images, affix) for affix in found)
        pair = Candidate(first, _whole(masks), score)
        extra = tuple(side for side in further if _shared(first, side) == pair.count)
        yield Candidate(first, _whole(masks), score, extra)
    before, after = suggestions.common(names), suggestions.common(drawn)
    if any(before) and any(after):
        yield Candidate(_with_affix(images, before), _with_affix(masks, after), score)


def _within(group: Group) -> Iterator[Candidate]:
    """Images and masks in one folder, which differ in type or in a part of their names."""
    kinds = sorted({file.kind for file in group})
    photos = [kind for kind in kinds if kind.lower() in _PHOTOS]
    for image in photos:
        for mask in (kind for kind in kinds if kind not in photos):
            yield Candidate(_of_kind(group, image), _of_kind(group, mask), 0.5)
    yield from _by_ends(group)
    names = {file.name for file in group}
    spoken = [name for name in names if MASK.search(name.rpartition("/")[2]) or "_" in name]
    for affix in suggestions.affixes(spoken, names, enough=0.25):
        if any(MASK.search(part) or _LETTER.search(part) for part in affix if part):
            yield _parted(group, affix)


def _by_ends(group: Group) -> Iterator[Candidate]:
    """Images and masks that have words of their own behind or before the number."""
    for place, regex in enumerate(_ENDS):
        ends = Counter(_end(regex, file.name) for file in group)
        words = [end for end, _ in ends.most_common(_ENDINGS) if end]
        for mask in filter(MASK.search, words):
            for image in (word for word in words if word != mask and not MASK.search(word)):
                one, two = (("", each) if place == 0 else (each, "") for each in (image, mask))
                yield Candidate(_with_affix(group, one), _with_affix(group, two), 1.0)


def _end(regex: re.Pattern[str], name: str) -> str:
    match = regex.search(name.rpartition("/")[2])
    return match[0] if match else ""


def _parted(group: Group, affix: Affix) -> Candidate:
    """The files of a group with the affix as masks, all others as images."""
    masks = _with_affix(group, affix)
    drawn = {path for names in masks.files.values() for path in names.values()}
    rest = {
        word: [file for file in files if file.path not in drawn]
        for word, files in group.files.items()
    }
    others = Group(group.pattern, rest)
    pattern = _pattern(others, ("", ""), [file.kind for file in others])
    images = Side(pattern, _named(others, lambda file: file.name))
    return Candidate(images, masks, 1.0 - 0.5 * _any(_SECOND, affix))


def _pattern(group: Group, affix: Affix, kinds: Iterable[str]) -> str:
    deep = group.is_deep if is_wild(group.pattern) else any("/" in f.name for f in group)
    return suggestions.pattern(group.pattern, affix, kinds, is_deep=deep).removeprefix("./")


def _named(group: Group, name: Callable[[File], str | None]) -> dict[str, dict[str, str]]:
    return {
        word: {found: file.path for file in files if (found := name(file))}
        for word, files in group.files.items()
    }


def _shared(images: Side, masks: Side) -> int:
    """How many images have a mask of the same split and name."""
    return sum(
        len(images.files[word].keys() & masks.files[word].keys())
        for word in images.files.keys() & masks.files.keys()
    )
