import json
import math
import time
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from api.documents import check_plain, parse_json, parse_yaml
from api.errors import Malformed
from tuner.errors import InvalidSpec

_TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\x85\u2028\u2029\ufeff"), max_size=12
)
_PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None)
@given(tree=_PLAIN)
def test_json_and_yaml_agree(tree: Any) -> None:
    """Every document means the same as JSON, as YAML, and as JSON read as YAML."""
    as_json = parse_json(json.dumps(tree).encode())
    as_yaml = parse_yaml(yaml.safe_dump(tree, allow_unicode=True).encode())

    assert tree == as_json
    assert tree == as_yaml


@settings(deadline=None)
@given(raw=st.binary(max_size=200))
def test_garbage_never_crashes(raw: bytes) -> None:
    """Any bytes are read, or refused with an error of ours."""
    for parse in (parse_json, parse_yaml):
        with suppress(Malformed, InvalidSpec):
            check_plain(parse(raw))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 100000.0),
        ("1.0e-3", 0.001),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("2026-01-01", "2026-01-01"),
        ("1:30", 90),
        ("'1e-3'", "1e-3"),
        ("1e", "1e"),
        ("0o17", "0o17"),
        ("~", None),
    ],
)
def test_yaml_scalars(text: str, value: Any) -> None:
    """Numbers are read as users write them; dates stay text."""
    found = parse_yaml(f"a: {text}".encode())["a"]

    assert value == found
    assert type(value) is type(found)


def test_merge_and_alias() -> None:
    """Anchors, aliases and merge keys work within bounds."""
    found = parse_yaml(b"a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]")

    assert found == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]}


def _bomb(levels: int, item: str) -> bytes:
    lines = ["a0: &a0 {k: v}"]
    for level in range(1, levels):
        before = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} " + item.format(before))
    return "\n".join(lines).encode()


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}"])
def test_alias_bomb(item: str) -> None:
    """A document that grows by its aliases is refused before it does."""
    started = time.monotonic()
    with pytest.raises(Malformed, match="aliases grow"):
        parse_yaml(_bomb(12, item))

    assert time.monotonic() - started < 10


@pytest.mark.parametrize("raw", [b"a: &a [*a]", b"&a {b: *a}", b"&a [&b [*a, *b]]"])
def test_alias_of_itself(raw: bytes) -> None:
    """A document that holds itself is refused."""
    with pytest.raises(Malformed):
        parse_yaml(raw)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_yaml(opening: str) -> None:
    """Nesting beyond all reason is refused, not followed."""
    with pytest.raises(Malformed):
        parse_yaml((opening * 20_000).encode())


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_json(opening: bytes) -> None:
    """Nesting beyond all reason is refused, not followed."""
    with pytest.raises(Malformed):
        parse_json(opening * 20_000)


@pytest.mark.parametrize("raw", [b"a: 1\na: 2", b"x:\n  a: 1\n  b: 2\n  a: 3", b"- {k: 1, k: 2}"])
def test_doubled_key(raw: bytes) -> None:
    """A key that stands twice is a slip of the user, not a choice of the parser."""
    with pytest.raises(Malformed, match="again"):
        parse_yaml(raw)


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" * 400 + b".0"])
def test_overflowing_number(number: bytes) -> None:
    """A number too large for a float is named with its place, never read as infinity."""
    with pytest.raises(InvalidSpec) as caught:
        parse_json(b'{"params": {"a": [1, ' + number + b"]}}")

    assert caught.value.problems[0].location == ("params", "a", 1)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, math.inf]}, ("a", 1)),
        ({"a": math.nan}, ("a",)),
        ({"a": "x\0y"}, ("a",)),
        ({"a": "\ud800"}, ("a",)),
        ({1: "x"}, ("1",)),
        ({"a": {True: "x"}}, ("a", "True")),
        ({"a": b"x"}, ("a",)),
        ({"a": {1, 2}}, ("a",)),
    ],
)
def test_not_plain(value: Any, place: tuple[str | int, ...]) -> None:
    """What JSON or a database cannot hold is refused where it stands."""
    with pytest.raises(InvalidSpec) as caught:
        check_plain(value)

    assert [problem.location for problem in caught.value.problems] == [place]
