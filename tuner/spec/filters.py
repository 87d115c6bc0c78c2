"""The language of filters: `miou > .6 and optimizer.name = sgd or not state in [failed, pruned]`.

    filter     = all {"or" all}
    all        = part {"and" part}
    part       = "not" part | "(" filter ")" | comparison
    comparison = name ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") value
               | name ["not"] "in" "[" value {"," value} "]"
    value      = number | "true" | "false" | "none" | word | 'quoted' | "quoted"

`~` is that a text contains another, whatever the case. What is not a plain word stands in quotes,
names too: `"iou.traffic light" > .5`. Words of the language have no case; `==`, `&&` and `||` are
taken for `=`, `and` and `or`. What a name stands for is not known here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import NoReturn

from tuner.errors import InvalidInput, Problem
from tuner.spec.space import Scalar

MOST_CHARACTERS = 2000
_DEEPEST = 40  # parentheses and negations within each other
_WORD = r"[^\W_][\w.\-:/@%+]*(?:(?<=\.)\[[^\[\]]*\])?|_[\w.\-:/@%+]*"
_TOKENS = re.compile(
    rf"""(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?![\w.\-:/@%+]))
    |(?P<word>{_WORD})
    |(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<sign><=|>=|!=|==|&&|\|\||[=<>~()\[\],])
    |(?P<wrong>["']|[^\s\w"'<>=!&|~()\[\],]+|.)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_PLAIN = re.compile(_WORD)
_SPELLED = {"==": "=", "&&": "and", "||": "or"}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "none": None, "null": None}
_RESERVED = {"and", "or", "not", "in", *_CONSTANTS}

Literal = Scalar | None


class Op(StrEnum):
    """How a value is compared."""

    EQUAL = "="
    DIFFERENT = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    CONTAINS = "~"


_OPERATORS = " ".join(Op)


@dataclass(frozen=True, slots=True)
class Given:
    """A value of a filter, and the character at which it stands, counted from 1."""

    value: Literal
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """`name op value`."""

    name: str
    op: Op
    given: Given
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Among:
    """`name in [value, …]`."""

    name: str
    given: tuple[Given, ...]
    at: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Negation:
    """`not part`."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Every:
    """`part and part and …`."""

    parts: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """`part or part or …`."""

    parts: "tuple[Expression, ...]"


Expression = Condition | Among | Negation | Every | Some


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else f"'{self.text[:60]}'"


def parse(text: str) -> Expression:
    """Read a filter. Raises InvalidInput with the character at which it cannot be understood."""
    if len(text) > MOST_CHARACTERS:
        refuse(
            MOST_CHARACTERS,
            f"a filter has at most {MOST_CHARACTERS:,} characters, not {len(text):,}",
        )
    return _Reader(list(_tokens(text))).whole()


def write(expression: Expression) -> str:
    """The filter as text that `parse` reads back as the same."""
    match expression:
        case Condition(name, op, given):
            return f"{_word(name)} {op} {write_value(given.value)}"
        case Among(name, given):
            return f"{_word(name)} in [{', '.join(write_value(one.value) for one in given)}]"
        case Negation(part):
            return f"not {_inside(part, Every | Some)}"
        case Every(parts):
            return " and ".join(_inside(part, Every | Some) for part in parts)
        case Some(parts):
            return " or ".join(_inside(part, Some) for part in parts)


def write_value(value: object) -> str:
    """A value as a filter says it; empty for one that it cannot say."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _word(value)
    return repr(value) if isinstance(value, int | float) else ""


def conditions(expression: Expression) -> Iterator[Condition | Among]:
    """Every condition of a filter, from left to right."""
    match expression:
        case Condition() | Among():
            yield expression
        case Negation(part):
            yield from conditions(part)
        case Every(parts) | Some(parts):
            for part in parts:
                yield from conditions(part)


def refuse(at: int, message: str) -> NoReturn:
    """Say what is wrong with a filter at a character. Raises InvalidInput."""
    raise InvalidInput([Problem(("filter",), message, source=f"character {at}")])


def _inside(part: Expression, bracketed: object) -> str:
    return f"({write(part)})" if isinstance(part, bracketed) else write(part)  # type: ignore[arg-type]  # a union of classes


def _word(text: str) -> str:
    """A text as a word where it is read as one, else in quotes."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        only = next(_tokens(text))
        if only.kind == "word" and only.text == text:
            return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKENS.finditer(text):
        kind, word = str(found.lastgroup), found.group()
        if word.isspace():
            continue
        word = _SPELLED.get(word, word)
        if kind == "word" and word.lower() in _RESERVED:
            kind, word = "sign", word.lower()
        yield _Token(kind, word, found.start() + 1)
    yield _Token("end", "", len(text) + 1)


class _Reader:
    """Goes through the tokens of one filter."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Expression:
        found = self._some()
        if self._seen.kind != "end":
            last = self._seen
            self._fail("after a comparison comes `and`, `or` or the end", last)
        return found

    @property
    def _seen(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._seen
        self._next += token.kind != "end"
        return token

    def _takes(self, sign: str) -> bool:
        matches = self._seen.kind == "sign" and self._seen.text == sign
        self._next += matches
        return matches

    def _some(self) -> Expression:
        parts = [self._every()]
        while self._takes("or"):
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _every(self) -> Expression:
        parts = [self._part()]
        while self._takes("and"):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _part(self) -> Expression:
        opening = self._seen
        if self._depth == _DEEPEST:
            refuse(opening.at, f"this is nested more than {_DEEPEST} deep; write it flatter")
        self._depth += 1
        try:
            if self._takes("not"):
                return Negation(self._part())
            if not self._takes("("):
                return self._comparison()
            found = self._some()
            if not self._takes(")"):
                self._fail(f"the `(` at character {opening.at} needs a `)`", self._seen)
            return found
        finally:
            self._depth -= 1

    def _comparison(self) -> Expression:
        name = self._take()
        if name.kind not in {"word", "quoted"}:
            self._fail("a comparison begins with a name, as in miou > .6", name)
        named = _said(name)
        sign = self._take()
        if sign.kind == "sign" and sign.text == "in":
            return Among(named, self._list(), name.at)
        if sign.kind == "sign" and sign.text == "not" and self._takes("in"):
            return Negation(Among(named, self._list(), name.at))
        if sign.kind != "sign" or sign.text not in set(Op):
            self._fail(f"after the name '{named[:60]}' comes one of {_OPERATORS} in", sign)
        return Condition(named, Op(sign.text), self._value(), name.at)

    def _list(self) -> tuple[Given, ...]:
        if not self._takes("["):
            self._fail("after `in` comes a list, as in [sgd, adamw]", self._seen)
        found = [self._value()]
        while self._takes(","):
            found.append(self._value())
        if not self._takes("]"):
            self._fail("a list goes on with `,` or ends with `]`", self._seen)
        return tuple(found)

    def _value(self) -> Given:
        token = self._take()
        if token.kind == "number":
            return Given(_number(token), token.at)
        if token.kind == "sign" and token.text in _CONSTANTS:
            return Given(_CONSTANTS[token.text], token.at)
        if token.kind not in {"word", "quoted"}:
            self._fail("here stands a number, a word, a text in quotes, true, false or none", token)
        return Given(_said(token), token.at)

    def _fail(self, expected: str, seen: _Token) -> NoReturn:
        if seen.kind == "wrong" and seen.text in {'"', "'"}:
            refuse(seen.at, f"the text that begins with {seen.text} needs a second {seen.text}")
        refuse(seen.at, f"{expected}; {seen.shown} does not fit")


def _said(token: _Token) -> str:
    """The text of a word, or of what stands in quotes: a backslash keeps a quote or a backslash."""
    if token.kind == "word":
        return token.text
    return re.sub(r"""\\(["'\\])""", r"\1", token.text[1:-1])


def _number(token: _Token) -> int | float:
    whole = re.fullmatch(r"[+-]?\d{1,300}", token.text)
    found = int(token.text) if whole else float(token.text)
    if not isfinite(found):
        refuse(token.at, f"{token.shown} is too large a number")
    return found
