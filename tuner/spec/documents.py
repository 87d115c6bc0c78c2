"""Documents that people write and callers send: JSON or YAML, read by one set of rules.

Numbers, booleans and nulls are those of YAML 1.2, keys are texts as they stand, and what JSON or a
database cannot hold is refused where it stands. The command line, the server and segtune's own
files are read here.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import yaml
from pydantic_core import from_json

from tuner.errors import InvalidInput, Location, Malformed, Problem
from tuner.spec import yaml_core

Language = Literal["json", "yaml"]

# A study takes a hundredth of it; YAML takes seconds to read where JSON takes milliseconds.
MAX_BYTES: Mapping[Language, int] = {"json": 2**20, "yaml": 2**17}
MAX_DEPTH, MAX_NODES = yaml_core.MAX_DEPTH, yaml_core.MAX_NODES
# What may hold an infinity (`1e400` overflows), NaN or a NUL; only then is every value looked at.
_SUSPICIOUS = re.compile(rb"\\u0000|[eE]\+?[0-9]{3}|(?<![0-9])[0-9]{200}|NaN|Infinity")
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_JSON_PLACE = re.compile(r"(.*?) at line (\d+) column (\d+)$", re.DOTALL)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')


class Place(NamedTuple):
    """Line and column of a text, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        """Give the place in words."""
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values, and where each of them stands in the text that was read."""

    value: Any
    places: Mapping[Location, Place] = field(default_factory=dict)

    def place_of(self, location: Location) -> Place:
        """Where a location stands: the value itself, or the innermost around it that is written.

        One of a list of one is found where it stands without the list, and what `<<` brings in
        where it was brought in. What is nowhere is at the beginning.
        """
        written = self._written(location)
        return self.places.get(written, Place(1, 1))

    def placed(self, problem: Problem, name: str = "") -> Problem:
        """The problem with where it stands, if anything of its location is written."""
        if not self._written(problem.location):
            return replace(problem, source=name)
        place = self.place_of(problem.location)
        return replace(problem, source=f"{name}:{place[0]}:{place[1]}" if name else str(place))

    def _written(self, location: Location) -> Location:
        """As much of a location as the text has."""
        here: Location = ()
        for part in location:
            ways = ((*here, part), (*here, "<<", part))
            found = next((way for way in ways if way in self.places), None)
            if found is not None:
                here = found
            elif not isinstance(part, int):
                break
        return here


def read(raw: bytes, language: Language, name: str = "") -> Document:
    """A document of which every value can be stored, with the place of each; `name` is its file's.

    Raises:
        Malformed: it is not of that language, has a key twice, or grows without bounds.
        InvalidInput: it holds values that JSON does not know.
    """
    found = parse(raw, language)
    try:
        check_plain(found.value)
    except InvalidInput as error:
        raise InvalidInput([found.placed(problem, name) for problem in error.problems]) from None
    return found


def parse(raw: bytes, language: Language) -> Document:
    """A document whose values may be none that can be stored. Raises Malformed."""
    text = _decoded(raw)
    return _read_json(text) if language == "json" else _read_yaml(text)


def parse_json(raw: bytes) -> Any:
    """Strict JSON as fast as can be: no NaN, no infinity, bounded depth, no NUL characters.

    Raises:
        Malformed: it is not JSON.
        InvalidInput: a number or a text that cannot be stored.
    """
    try:
        tree = from_json(raw, allow_inf_nan=True)
    except ValueError as error:
        raise _not_json(error) from None
    if _SUSPICIOUS.search(raw):
        check_plain(tree)
    return tree


def parse_yaml(raw: bytes) -> Any:
    """The value of a YAML text. Raises what `read` raises."""
    return read(raw, "yaml").value


def has_at_most(most: int, tree: object) -> bool:
    """Whether plain values are no more than so many, each list and mapping counted too."""
    open_, count = [tree], 0
    while open_ and count <= most:
        value = open_.pop()
        count += 1
        if isinstance(value, Mapping):
            open_ += value.values()
        elif isinstance(value, list | tuple):
            open_ += value
    return count <= most


def check_plain(tree: object) -> None:
    """Raise InvalidInput for every value that JSON or a database cannot hold, with its place."""
    problems: list[Problem] = []
    open_: list[tuple[Location, object]] = [((), tree)]
    while open_:
        where, value = open_.pop()
        if isinstance(value, dict):
            open_ += [((*where, _key(key)), part) for key, part in value.items()]
            problems += [
                Problem((*where, _key(key)), wrong) for key in value if (wrong := _wrong_key(key))
            ]
        elif isinstance(value, list):
            open_ += [((*where, index), part) for index, part in enumerate(value)]
        elif wrong := _wrong_value(value):
            problems.append(Problem(where, wrong))
    if problems:
        raise InvalidInput(sorted(problems, key=str))


def _decoded(raw: bytes) -> str:
    """The text, in UTF-8 or whatever its byte order mark says. Raises Malformed."""
    codec = next((codec for mark, codec in _BOMS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Malformed(
            f"line {line} holds bytes that are not {codec.removesuffix('-sig').upper()}; "
            "save the text as UTF-8"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Malformed(f"line {line} holds a NUL character: this is not a text in UTF-8")
    return text


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────


def _read_json(text: str) -> Document:
    try:
        value = from_json(text, allow_inf_nan=True)
    except ValueError as error:
        raise _not_json(error) from None
    places: dict[Location, Place] = {}
    for location, place in _json_places(text):
        if location in places:
            raise _twice(location, place, places[location])
        places[location] = place
    return Document(value, places)


def _not_json(error: ValueError) -> Malformed:
    said = _JSON_PLACE.match(str(error))
    if said is None:
        return Malformed(f"it is not JSON: {error}")
    return Malformed(f"it is not JSON: {said[1]}", int(said[2]), int(said[3]))


def _json_places(text: str) -> Iterator[tuple[Location, Place]]:
    """The location of each value of a valid JSON text, and where it (or its key) begins."""
    lines = [0, *(found.end() for found in re.finditer("\n", text))]
    location: list[str | int] = []
    is_key = False
    for token in _JSON_TOKEN.finditer(text):
        sign = token[0]
        if sign in "]}":
            location.pop()
            is_key = False
        elif sign == ",":
            last = location[-1]
            is_key = not isinstance(last, int)
            location[-1] = last if isinstance(last, str) else last + 1
        elif sign != ":":
            if is_key:
                location[-1] = from_json(sign)
            if location and (is_key or isinstance(location[-1], int)):
                line = bisect_right(lines, token.start())
                yield tuple(location), Place(line, token.start() - lines[line - 1] + 1)
            is_key = sign == "{"
            if sign in "[{":
                location.append(0 if sign == "[" else "")


# ── YAML ─────────────────────────────────────────────────────────────────────────────────────


def _read_yaml(text: str) -> Document:
    try:
        loader = yaml_core.Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error) from None
    except yaml.reader.ReaderError as error:
        place = _place_of(text, error.position)
        raise Malformed(
            f"the character U+{ord(text[error.position]):04X} is not allowed in YAML; "
            "remove it, or write it as an escape in double quotes",
            *place,
        ) from None
    if node is None:
        return Document(None)
    building = _Building()
    return Document(building.value(node, ()), building.places)


def _not_yaml(error: yaml.MarkedYAMLError) -> Malformed:
    mark = error.problem_mark or error.context_mark
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in reason:
        reason = "a tab is not allowed here; indent with spaces"
    elif "another document" in reason:
        reason = "a second document begins here (`---`); a file holds one"
    is_whole = reason.startswith(("a second", "it "))
    message = reason if is_whole else f"it is not YAML: {reason}"
    return Malformed(message, *_place(mark)) if mark else Malformed(message)


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _place_of(text: str, position: int) -> Place:
    return Place(
        text.count("\n", 0, position) + 1, position - (text.rfind("\n", 0, position) + 1) + 1
    )


def _twice(location: Location, place: Place, first: Place) -> Malformed:
    name = ".".join(str(part) for part in location)
    return Malformed(
        f"{name} is given twice, first in line {first.line}; remove one of them", *place
    )


class _Building:
    """Values of nodes: aliases are followed, and counted, so that none grows without bounds."""

    def __init__(self) -> None:
        self.places: dict[Location, Place] = {}
        self._count = 0

    def value(self, node: yaml.Node, where: Location) -> Any:
        """The plain value of a node. Raises Malformed."""
        self._visit(node, where)
        self.places.setdefault(where, _place(node.start_mark))
        if isinstance(node, yaml.MappingNode):
            _refuse_tag(node, "map")
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            _refuse_tag(node, "seq")
            return [self.value(item, (*where, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        try:
            return yaml_core.scalar(node)
        except ValueError as error:
            place = _place(node.start_mark)
            raise Malformed(f"{error}", *place) from None

    def _visit(self, node: yaml.Node, where: Location) -> None:
        self._count += 1
        place = _place(node.start_mark)
        if self._count > MAX_NODES:
            message = f"its aliases grow to more than {MAX_NODES} values"
            raise Malformed(f"{message}; write out less, or fewer times", *place)
        if len(where) > MAX_DEPTH:
            raise Malformed(f"it is nested more than {MAX_DEPTH} levels deep", *place)

    def _mapping(self, node: yaml.MappingNode, where: Location) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first: dict[str, Place] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if key_node.tag == yaml_core.MERGE:
                merged = {**self._merged(value_node, where), **merged}
                continue
            key = _key_text(key_node)
            location = (*where, key)
            if key in first:
                raise _twice(location, place, first[key])
            first[key] = place
            self.places[location] = place
            own[key] = self.value(value_node, location)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, where: Location) -> dict[str, Any]:
        """What `<<` brings in: a mapping, or several of which the first to know a key decides."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                place = _place(part.start_mark)
                raise Malformed("`<<` takes a mapping, or a list of mappings", *place)
            value = self.value(part, (*where, "<<"))
            found = {**value, **found}
        return found


def _key_text(node: yaml.Node) -> str:
    """A key as it stands: in YAML as in JSON a key is a text. Raises Malformed."""
    place = _place(node.start_mark)
    if not isinstance(node, yaml.ScalarNode):
        raise Malformed("a key must be a text, not a list or a mapping", *place)
    if node.tag == f"{yaml_core.PREFIX}null" and not node.value:
        raise Malformed("a key is missing before the colon", *place)
    return yaml_core.text_of(node.value)


def _refuse_tag(node: yaml.Node, kind: str) -> None:
    if node.tag != yaml_core.PREFIX + kind:
        place = _place(node.start_mark)
        raise Malformed(f"the tag {node.tag} is not known in JSON; leave it out", *place)


# ── Values ───────────────────────────────────────────────────────────────────────────────────


def _key(key: object) -> str:
    return key if isinstance(key, str) and not _wrong_value(key) else repr(key)


def _wrong_key(key: object) -> str | None:
    if not isinstance(key, str):
        return f"the key {key!r} is not text; put it in quotes"
    return _wrong_value(key)


def _wrong_value(value: object) -> str | None:
    """What is wrong with a single value, if anything."""
    if value is None or isinstance(value, bool | int):
        return None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} is not a finite number"
    if not isinstance(value, str):
        return f"a {type(value).__name__} is not known in JSON; put it in quotes"
    if "\0" in value:
        return "a text holds a NUL character; remove it"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "a text holds half of a surrogate pair; write the character itself"
    return None
