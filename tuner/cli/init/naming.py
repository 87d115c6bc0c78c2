"""Names of classes, and of what is not a class, from the files that tools write beside masks."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuner.configs.colours import Colour
from tuner.errors import DataError
from tuner.training.data import lists

# What a reader meets in a file of that name that holds something else.
_NO_NAMES = (
    *(ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError),
    *(csv.Error, DataError, OSError),
)
_VOID = re.compile(
    r"_*(void|ignored?([ _-]?(label|index|regions?))?|no[ _-]?data|do(n'?t|[ _-]not)[ _-]?care|"
    r"undefined|out[ _-]of[ _-](roi|bounds))_*",
    re.IGNORECASE,
)
_UNLABELLED = re.compile(r"_*(un|not[ _-]?)-?label?l?ed_*", re.IGNORECASE)
_NUMBERED = re.compile(r"(\d+)\s*[:;,=\t ]\s*(\S.*)")
_COLOURED = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)")


@dataclass(frozen=True, slots=True)
class Names:
    """Class names of a file, by label or by colour; by position where the file has no numbers."""

    source: str
    by_label: Mapping[int, str] = field(default_factory=dict)
    by_colour: Mapping[Colour, str] = field(default_factory=dict)
    is_numbered: bool = True


def is_void(name: str) -> bool:
    """Whether a name says that it is of no class."""
    return _VOID.fullmatch(name.strip()) is not None


def is_unlabelled(name: str) -> bool:
    """Whether a name says that nobody labelled it, which many use for the background."""
    return _UNLABELLED.fullmatch(name.strip()) is not None


def find_names(folder: Path) -> Names | None:
    """The names that the first readable file of names gives, in the folder or one below it."""
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    for name, read in _READERS.items():
        for path in (place / name for place in places):
            if path.is_file():
                try:
                    found = read(path)
                except _NO_NAMES:
                    continue
                if found and (found.by_label or found.by_colour):
                    return found
    return None


def _text(path: Path) -> list[str]:
    return [" ".join(words) for words in lists.lines(path)]


def _labelmap(path: Path) -> Names | None:
    """CVAT's `label:color_rgb:parts:actions`, or one name in a line."""
    rows = [line for line in _text(path) if not line.startswith("#")]
    if not all(line.count(":") >= 1 for line in rows):
        return _plain(path)
    colours: dict[Colour, str] = {}
    for row in rows:
        name, colour, *_ = row.split(":")
        if colour.strip():
            colours[_colour(colour.split(","))] = name.strip()
    if not colours:
        names = dict(enumerate(row.split(":")[0].strip() for row in rows))
        return Names(path.name, by_label=names, is_numbered=False)
    return Names(path.name, by_colour=colours)


def _colour(parts: Sequence[Any]) -> Colour:
    red, green, blue = (int(part) for part in parts)
    if not all(0 <= part <= 255 for part in (red, green, blue)):
        raise ValueError(parts)
    return red, green, blue


def _table(path: Path) -> Names | None:
    """A table with a heading: pixel value and class, or name and r, g, b."""
    rows = list(csv.reader(_text(path), skipinitialspace=True))
    heads = [head.strip().lower() for head in rows[0]]
    cells = [[cell.strip() for cell in row] for row in rows[1:] if any(row)]
    name = next(
        i for i, head in enumerate(heads) if head in ("class", "name", "label", "class_name")
    )
    if {"r", "g", "b"} <= set(heads):
        places = [heads.index(sign) for sign in "rgb"]
        colours = {_colour([row[place] for place in places]): row[name] for row in cells}
        return Names(path.name, by_colour=colours)
    number = next(
        i
        for i, head in enumerate(heads)
        if head in ("pixel value", "value", "id", "index", "pixel")
    )
    return Names(path.name, by_label={int(row[number]): row[name] for row in cells})


def _colours(path: Path) -> Names | None:
    """CamVid's `r g b name` in each line."""
    found = {}
    for line in _text(path):
        match = _COLOURED.fullmatch(line)
        if not match:
            return None
        found[_colour(match.groups()[:3])] = match[4].strip()
    return Names(path.name, by_colour=found)


def _plain(path: Path) -> Names | None:
    """One name in a line, with its label before it or not."""
    names = [line.strip() for line in _text(path)]
    if names and all(_COLOURED.fullmatch(name) for name in names):
        return _colours(path)
    numbered = [_NUMBERED.fullmatch(name) for name in names]
    if names and all(numbered):
        labels = {int(match[1]): match[2].strip() for match in numbered if match}
        return Names(path.name, by_label=labels)
    if names[:1] == ["__ignore__"]:  # labelme's label of -1
        names = names[1:]
    return Names(path.name, by_label=dict(enumerate(names)), is_numbered=False)


def _listed(path: Path) -> Names | None:
    """A JSON list of names, or names by label, or labels by name."""
    document = json.loads(path.read_bytes())
    if isinstance(document, list):
        names = [str(name).strip() for name in document if str(name).strip()]
        return Names(path.name, by_label=dict(enumerate(names)), is_numbered=False)
    return Names(path.name, by_label=_by_label(document))


def _by_label(found: Mapping[str, Any]) -> dict[int, str]:
    if all(key.isdecimal() for key in found):
        return {int(key): str(name) for key, name in found.items()}
    return {label: name for name, label in found.items() if isinstance(label, int)}


def _nnunet(path: Path) -> Names | None:
    """The labels of nnU-Net's `dataset.json`; regions made of several labels are left out."""
    return Names(path.name, by_label=_by_label(json.loads(path.read_bytes())["labels"]))


def _machine(path: Path) -> Names | None:
    """Supervisely's classes by the grey of their machine masks; 0 is what has no class."""
    found = json.loads(path.read_bytes())
    labels = {grey[0]: name for name, grey in found.items() if len(set(grey)) == 1}
    return Names(path.name, by_label={0: "background", **labels})


def _supervisely(path: Path) -> Names | None:
    """Supervisely's `meta.json`: classes by colour, and from 1 on in machine masks."""
    titles = {
        each["title"]: each["color"].lstrip("#")
        for each in json.loads(path.read_bytes())["classes"]
    }
    colours = {_colour(bytes.fromhex(code)): title for title, code in titles.items()}
    colours.setdefault((0, 0, 0), "background")
    labels = {0: "background", **dict(enumerate(titles, start=1))}
    return Names(path.name, by_label=labels, by_colour=colours)


def _readers() -> Iterator[tuple[str, Callable[[Path], Names | None]]]:
    yield "labelmap.txt", _labelmap
    yield "_classes.csv", _table
    yield "dataset.json", _nnunet
    yield "obj_class_to_machine_color.json", _machine
    yield "meta.json", _supervisely
    yield from ((name, _table) for name in ("class_dict.csv", "classes.csv", "class_dict_seg.csv"))
    yield "label_colors.txt", _colours
    words = ("classes", "labels", "class_names", "names", "codes")
    yield from ((f"{word}.txt", _plain) for word in words)
    yield from ((f"{word}.json", _listed) for word in (*words, "id2label"))


_READERS: Mapping[str, Callable[[Path], Names | None]] = dict(_readers())
