"""Files below a folder by pattern, and the name that each has for its partners.

What the wildcards of a pattern match is the name: `masks/*_mask.png` calls `masks/car_1_mask.png`
`car_1`. `*` and `?` stand for a part of a file's or folder's name, `**` for any folders. A folder
means all files below it, `folder/**/*`. A type is not part of a name, and nor are upper and
lower case of a type. Names in the Unicode forms of other systems are the same name.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from tuner.training.data.image_files import SUFFIXES

_WILD = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]")
# Folders and files that systems and tools leave beside images.
_LITTER = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"})


def is_wild(pattern: str) -> bool:
    """Whether a pattern has wildcards; else it names a folder or a file."""
    return _WILD.search(pattern) is not None


def clean(pattern: str) -> str:
    """A pattern as segtune writes it: slashes, and accents in one code."""
    return normalize("NFC", pattern.replace("\\", "/")).strip("/") or "."


def is_litter(name: str) -> bool:
    """Whether a part of a path is hidden, or left by a system."""
    return name.startswith(".") or name in _LITTER


def files_below(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, links to folders followed, without litter.

    Raises OSError where a folder cannot be listed.
    """
    entered = {folder.resolve()}
    for place, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        kept = [name for name in sorted(folders) if not is_litter(name)]
        folders[:] = [name for name in kept if _is_new(Path(place, name), entered)]
        below = Path(place).relative_to(folder)
        yield from ((below / name).as_posix() for name in sorted(files) if not is_litter(name))


def named(base: Path, pattern: str) -> list[tuple[str, Path]]:
    """Name and path of every image file that a pattern, or a folder's pattern, matches."""
    wanted = clean(pattern)
    folder = existing(base, wanted)
    if folder is not None and folder.is_dir():
        regex = _regex("**/*")
    elif is_wild(wanted):
        fixed, rest = _divided(wanted)
        folder, regex = existing(base, fixed), _regex(rest)
    if folder is None or not folder.is_dir():
        return []
    found = []
    for path in files_below(folder):
        match = regex.fullmatch(normalize("NFC", path))
        if match and PurePosixPath(path).suffix.lower() in SUFFIXES:
            found.append((_name(match.groups()), folder / path))
    return found


def existing(base: Path, name: str) -> Path | None:
    """The file or folder of that name below another, in whatever Unicode form it is stored."""
    for form in ("NFC", "NFD"):
        path = base / normalize(form, name)
        if path.exists():
            return path
    plain = base / name
    return plain if plain.exists() else None


def _raise(error: OSError) -> None:
    raise error


def _is_new(folder: Path, entered: set[Path]) -> bool:
    """Whether a folder is not a link to one that was entered before."""
    if not folder.is_symlink():
        return True
    real = folder.resolve()
    if real in entered or any(real in each.parents for each in entered):
        return False
    entered.add(real)
    return True


def _divided(pattern: str) -> tuple[str, str]:
    """The folders before the first wildcard, and the rest."""
    parts = pattern.split("/")
    first = next(place for place, part in enumerate(parts) if is_wild(part))
    return "/".join(parts[:first]) or ".", "/".join(parts[first:])


def _regex(pattern: str) -> re.Pattern[str]:
    """The pattern with a group for each wildcard except that of the type."""
    written = pattern.removesuffix(".*")
    stem, dot, kind = written.rpartition(".")
    ending = r"\.[^/.]+"
    if written == pattern and dot and stem and not is_wild(kind) and "/" not in kind:
        written, ending = stem, rf"(?i:\.{re.escape(kind)})"
    elif written == pattern and not written.endswith(("*", "?", "]")):
        ending = ""
    parts = []
    end = 0
    for wild in _WILD.finditer(written):
        parts += [re.escape(written[end : wild.start()]), _group(wild[0])]
        end = wild.end()
    return re.compile("".join([*parts, re.escape(written[end:]), ending]))


def _group(wild: str) -> str:
    if wild == "**/":
        return "((?:[^/]+/)*)"
    if wild == "**":
        return "(.*)"
    if wild == "*":
        return "([^/]*)"
    return "([^/])" if wild == "?" else f"({wild.replace('[!', '[^')})"


def _name(groups: tuple[str, ...]) -> str:
    return "/".join(part for group in groups if (part := group.strip("/")))
