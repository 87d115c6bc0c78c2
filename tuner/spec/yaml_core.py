"""YAML's scalars as YAML 1.2's core schema has them, for reading and for writing.

PyYAML speaks YAML 1.1, in which `1e-3` is text, `no` is false, `010` is eight, `1:30` is ninety
and `2026-01-01` is a date. Here, as in JSON, they are 0.001, `no`, ten, `1:30` and `2026-01-01`.
What is written is quoted wherever a reader of either version would take it for something else.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

PREFIX = "tag:yaml.org,2002:"
MERGE = f"{PREFIX}merge"  # `<<` is of YAML 1.1 alone, and in use everywhere
MAX_DEPTH = 64
MAX_NODES = 10_000  # a study takes a hundredth of it; each is tens of microseconds to read
_WIDE = 2**31  # no line is ever folded: a text that is would depend on its blanks
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# The first rule that fits decides. https://yaml.org/spec/1.2.2/#1032-tag-resolution
_RULES = {
    "null": re.compile(r"(~|null|Null|NULL|)"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": _INT,
    "float": re.compile(rf"{_FLOAT.pattern}|{_INFINITE.pattern}"),
    "merge": re.compile(r"<<"),
}
_RESOLVERS = {None: [(PREFIX + tag, re.compile(f"({r.pattern})$")) for tag, r in _RULES.items()]}


class Loader(yaml.SafeLoader):
    """Composes nodes of bounded depth and number; their scalars are read by `scalar`."""

    yaml_implicit_resolvers = _RESOLVERS

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._count = 0

    def fetch_flow_collection_start(self, TokenClass: type[yaml.Token]) -> None:  # noqa: N803  # PyYAML's name
        """Open a bracket. Raises MarkedYAMLError below MAX_DEPTH: it reads far ahead of nodes."""
        if self.flow_level > MAX_DEPTH:
            raise self._too_deep()
        super().fetch_flow_collection_start(TokenClass)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node. Raises MarkedYAMLError below MAX_DEPTH, and beyond MAX_NODES."""
        if self._depth > MAX_DEPTH:
            raise self._too_deep()
        self._count += 1
        if self._count > MAX_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"it holds more than {MAX_NODES} values: not a study",
                problem_mark=self.get_mark(),
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _too_deep(self) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(
            problem=f"it is nested more than {MAX_DEPTH} levels deep", problem_mark=self.get_mark()
        )


def scalar(node: yaml.ScalarNode) -> Any:
    """The value of a scalar. Raises ValueError where its tag and its text do not go together."""
    kind, text = node.tag.removeprefix(PREFIX), node.value
    read = _READERS.get(kind)
    if read is None:
        raise ValueError(f"the tag {node.tag} is not known in JSON; leave it out, or use quotes")
    if kind in _RULES and not _RULES[kind].fullmatch(text):
        raise ValueError(f"'{text}' is not a YAML {kind}; leave the tag out")
    return read(text)


def is_number(text: str) -> bool:
    """Whether a text, standing without quotes, is a number."""
    return any(_RULES[kind].fullmatch(text) for kind in ("int", "float"))


def dump(value: Any, *, flow: bool = False) -> str:
    """Plain values as YAML in the order given; in flow style all of it on one line."""
    text = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=flow, width=_WIDE, allow_unicode=True,
        sort_keys=False,
    )  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...") if flow else text


def _int(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text if base == 10 else text[2:], base)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def text_of(text: str) -> str:
    """The text, with JSON's escaped surrogate pairs put together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


_READERS: Mapping[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _int,
    "float": _float,
    "merge": text_of,
    "str": text_of,
}


class _Dumper(yaml.SafeDumper):
    """The safe dumper, without anchors, and with quotes wherever a reader could go wrong."""

    yaml_implicit_resolvers = _RESOLVERS

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out where it stands."""
        return True


def _is_text_in_old_yaml(text: str) -> bool:
    rules = yaml.SafeDumper.yaml_implicit_resolvers.get(text[:1], [])
    return not any(rule.match(text) for _, rule in rules)


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    if not text.isprintable():
        style: str | None = '"'
    else:
        style = None if _is_text_in_old_yaml(text) else "'"
    return dumper.represent_scalar(f"{PREFIX}str", text, style=style)


_Dumper.add_representer(str, _represent_text)
