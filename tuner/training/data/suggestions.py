"""How image and mask names that do not pair could: by what each has before or after the other."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from tuner.training.data.patterns import is_wild

_TRIED = 40
_ENOUGH = 0.5
_RULE = '; what the wildcards of a pattern match pairs the files, as in masks: "masks/*_m.png"'


def remedy(
    images: Mapping[str, Path], masks: Mapping[str, Path], options: Mapping[str, str]
) -> str:
    """The patterns that would pair the files, as the end of a message; else the rule."""
    if not options or any(is_wild(pattern) for pattern in options.values()):
        return _RULE if options else ""
    names, others = list(images), list(masks)
    if found := affixes(others, set(names)):
        return f"; they pair with `masks: {_pattern(options['masks'], found[0], masks)}`"
    if found := affixes(names, set(others)):
        first, *more = (_pattern(options["images"], each, images) for each in found)
        further = f" and, for further channels, `extra: [{', '.join(more)}]`" if more else ""
        return f"; they pair with `images: {first}`{further}"
    if {name.lower() for name in names} <= {name.lower() for name in others}:
        return "; they differ in upper and lower case only: rename them alike"
    before, after = common(names)
    lead, tail = common(others)
    if {core(name, before, after) for name in names} <= {core(m, lead, tail) for m in others}:
        image = _pattern(options["images"], (before, after), images)
        return f"; they pair with `images: {image}` and `masks: " + (
            f"{_pattern(options['masks'], (lead, tail), masks)}`"
        )
    return _RULE


def pattern(
    folder: str, affix: tuple[str, str], kinds: Iterable[str], *, is_deep: bool = False
) -> str:
    """A folder's pattern, whose `*` leaves out what stands before and after."""
    found = set(kinds)
    kind = found.pop() if len(found) == 1 else ".*"
    return f"{folder}/{'**/' if is_deep else ''}{affix[0]}*{affix[1]}{kind}"


def _pattern(option: str, affix: tuple[str, str], files: Mapping[str, Path]) -> str:
    kinds = (path.suffix for path in files.values())
    is_deep = any("/" in name for name in files)
    return json.dumps(pattern(option, affix, kinds, is_deep=is_deep), ensure_ascii=False)


def common(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin and end with, up to the first digit and from the last one."""
    stems = [name.rpartition("/")[2] for name in names]
    before = _start(stems).rstrip("0123456789")
    after = _start([stem[::-1] for stem in stems])[::-1].lstrip("0123456789")
    return before, after if len(before) + len(after) < min(map(len, stems)) else ""


def _start(words: Sequence[str]) -> str:
    """What all words begin with."""
    first, last = min(words), max(words)
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(one for one, _ in pairs)


def affixes(
    names: Sequence[str], others: set[str], *, enough: float = _ENOUGH
) -> list[tuple[str, str]]:
    """What stands before and after another's name in names that cover enough of the others."""
    votes: Counter[tuple[str, str]] = Counter()
    for name in sorted(names)[:_TRIED]:
        votes.update(set(_divisions(name, others)))
    return [
        (before, after)
        for (before, after), _ in sorted(votes.items(), key=lambda vote: (-vote[1], vote[0]))[:8]
        if len({core(name, before, after) for name in names} & others) >= enough * len(others)
    ]


def _divisions(name: str, others: set[str]) -> Iterable[tuple[str, str]]:
    """Every way to see one of the others in a name."""
    folder, slash, stem = name.rpartition("/")
    for start in range(len(stem)):
        for end in range(start + 1, len(stem) + 1):
            is_whole = (start, end) == (0, len(stem))
            if not is_whole and f"{folder}{slash}{stem[start:end]}" in others:
                yield stem[:start], stem[end:]


def core(name: str, before: str, after: str) -> str | None:
    """A name without what stands before and after; None where it does not stand there."""
    folder, slash, stem = name.rpartition("/")
    if not (stem.startswith(before) and stem.endswith(after)):
        return None
    return f"{folder}{slash}{stem[len(before) : len(stem) - len(after)]}"
