"""Names and paths of a new study that would be taken for something else, or lead somewhere else.

Studies that are stored already stay as they are: only what is submitted is held to this.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from tuner.errors import Location, Problem
from tuner.spec import yaml_core
from tuner.spec.space import Choice
from tuner.spec.study import StudySpec

# Options of the data set that name folders, files, or patterns of them.
PATHS = frozenset({"root", "images", "masks", "train", "val", "annotations", "lists", "extra"})
# Paths of a config whose values name files of tensors: weights to begin with, and teachers.
_FILES = re.compile(r"model\.weights|loss\.(terms\.\d+\.)?teacher")
_LONGEST = 100
# Of bounded length, or a long text without an address would be tried from each of its letters on.
_ADDRESS = re.compile(r"file:|[a-z][a-z0-9+.-]{1,30}://")


def number_problems(name: str) -> Iterator[Problem]:
    """The problem of a study's name that would be taken for an id."""
    if yaml_core.is_number(name):
        message = (
            f"'{name}' is a number, and numbers are ids of studies; put a word before it, as in "
            f"run-{name}"
        )
        yield Problem(("name",), message)


def name_problems(spec: StudySpec) -> Iterator[Problem]:
    """Problems of a new study's names and paths."""
    yield from number_problems(spec.name)
    yield from _class_problems(spec.dataset.classes)
    yield from _label_problems(spec.resources.labels)
    for option, value in spec.dataset.options.items():
        yield from _in_texts(("dataset", option), value, is_path=option in PATHS)
    yield from _in_texts(("base", "model", "weights"), spec.base.model.weights, is_path=True)
    yield from _teachers(spec.base.loss.options, ("base", "loss"))
    for path, index, dimension in _dimensions(spec):
        for position, value in enumerate(dimension.choice):
            place = ("space", path, index, "choice", position)
            yield from _in_texts(place, value, is_path=True)
    for number, params in enumerate(spec.search.prior.configs if spec.search.prior else ()):
        yield from path_problems_of(params, ("search", "prior", "configs", number))


def path_problems_of(params: Mapping[str, Any], below: Location) -> list[Problem]:
    """Problems of the params that are paths."""
    named = [(path, value) for path, value in params.items() if _FILES.fullmatch(path)]
    return [
        problem
        for path, value in named
        for problem in _in_texts((*below, path), value, is_path=True)
    ]


def _teachers(loss: Mapping[str, Any], below: Location) -> Iterator[Problem]:
    """Problems of the files that a loss, or a term of it, names as its teacher."""
    yield from _in_texts((*below, "teacher"), loss.get("teacher"), is_path=True)
    terms = loss.get("terms")
    for position, term in enumerate(terms if isinstance(terms, list | tuple) else ()):
        if isinstance(term, Mapping):
            yield from _teachers(term, (*below, "terms", position))


def wrong_path(path: str, *, only_upwards: bool = False) -> str | None:
    """What is wrong with a path on a worker, or a pattern of paths, or None.

    A path is relative to a folder that the worker's operator allows (its data roots), or absolute
    and below one; its parts are divided by `/`.
    """
    shown = path if path.isprintable() else repr(path)[1:-1]
    if ".." in re.split(r"[/\\]", unquote(path)):
        return (
            f"'{shown}' holds '..', which leads out of the folder; name a place below the worker's "
            "data roots"
        )
    if only_upwards:
        return None
    if not path.isprintable():
        return f"'{shown}' holds a character that cannot be seen; remove it"
    if "\\" in path:
        return f"'{path}' holds '\\'; divide folders by '/', on every system"
    if path.startswith("~"):
        return f"'{path}': a worker does not expand '~'; write the path out"
    return None


def _in_texts(place: Location, value: object, *, is_path: bool) -> Iterator[Problem]:
    """Problems of a text, or of each in a list; what is not a path may only not lead upwards."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _in_texts((*place, index), item, is_path=is_path)
    elif not isinstance(value, str):
        return
    elif wrong := wrong_path(_ADDRESS.sub("", value), only_upwards=not is_path):
        yield Problem(place, wrong)


def _dimensions(spec: StudySpec) -> Iterator[tuple[str, int, Choice]]:
    """Choices among files."""
    for path, index, dimension in spec.space.dimensions():
        if _FILES.fullmatch(path) and isinstance(dimension, Choice):
            yield path, index, dimension


def _class_problems(classes: tuple[str, ...]) -> Iterator[Problem]:
    """A class is named in metrics (`iou.car`, `iou.[car,bus]`), tables and files of others."""
    known: dict[str, str] = {}
    for index, name in enumerate(classes):
        place = ("dataset", "classes", index)
        if wrong := _wrong_class(name):
            yield Problem(place, wrong)
        plain = unicodedata.normalize("NFC", name).strip()
        if known.setdefault(plain, name) != name:
            yield Problem(place, f"'{name}' looks the same as another class; rename one of them")


def _wrong_class(name: str) -> str | None:
    if not name.isprintable():
        return f"the class name {name!r} holds a character that cannot be seen; remove it"
    if name != name.strip():
        return f"the class name '{name}' begins or ends with a blank; remove it"
    if len(name) > _LONGEST:
        return f"the class name '{name[:30]}…' is longer than {_LONGEST} characters"
    if name == "worst":
        return "a class cannot be called 'worst': iou.worst means the worst of all classes"
    if name.startswith("["):
        return f"the class name '{name}' begins with '[', which in a metric begins a list"
    return None


def _label_problems(labels: Mapping[str, str]) -> Iterator[Problem]:
    """A worker says its labels as name=value,name=value: what it cannot say, no worker has."""
    for name, value in labels.items():
        odd = (
            "=" in name
            or not name
            or any(
                "," in text or text != text.strip() or not text.isprintable()
                for text in (name, value)
            )
        )
        if odd:
            message = (
                f"no worker can have the label {name!r}: {value!r}; a label is written name=value, "
                "without ',', '=' in the name, and blanks at either end"
            )
            yield Problem(("resources", "labels", name), message)
