"""Documents: one reader of JSON and YAML, and a writer that it reads back."""

import json
import math
import time
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tuner.errors import InvalidInput, Malformed
from tuner.spec import yaml_core
from tuner.spec.documents import Language, check_plain, parse_json, parse_yaml, read

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
# Texts that some reader of YAML takes for something else, and their neighbours.
_MISTAKEN = (
    "0e0 1e-4 1.e-3 .5 0o17 0x1F 017 08 1_000 1:30 0b11 .inf -.INF .nan ~ null Null yes no on off "
    "y N true False << = - ? : 2026-01-01 2001-12-14t21:59:43.10-05:00 # & * ! | > % @ ` +1 -0 "
    "1. + - . e1 1e 0o8 0xg"
)
_ODD = st.one_of(
    *(st.just(text) for text in _MISTAKEN.split(" ")),
    st.from_regex(r"[-+]?[0-9_.:]{1,6}([eE][-+]?[0-9]{0,3})?", fullmatch=True),
)
_PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT
    | _ODD,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT | _ODD, inner, max_size=4),
    max_leaves=15,
)


@settings(deadline=None)
@given(tree=_PLAIN, flow=st.booleans())
@example(tree="0e0", flow=False)
@example(tree="a\x85b\u2028c\u2029d\ufeff\x07", flow=True)
@example(tree={"": ["", {}], " a ": "\n", "k" * 200: " x  y\n\n"}, flow=False)
def test_what_is_written_is_read_back(tree: Any, flow: bool) -> None:
    """Every value that JSON knows comes back from YAML as the same value."""
    found = parse_yaml(yaml_core.dump(tree, flow=flow).encode())

    assert found == tree
    assert json.dumps(found) == json.dumps(tree)


@settings(deadline=None)
@given(tree=_ODD | st.lists(_ODD | _TEXT, max_size=5))
def test_what_is_written_is_read_back_by_older_readers(tree: Any) -> None:
    """A reader of YAML 1.1 takes none of our texts for a number, a date or a boolean."""
    try:
        assert yaml.safe_load(yaml_core.dump(tree)) == tree
    except yaml.reader.ReaderError:
        pytest.fail("a character was not escaped")


@settings(deadline=None)
@given(tree=_PLAIN)
def test_json_and_yaml_agree(tree: Any) -> None:
    """Every document means the same as JSON, as YAML, and as JSON read as YAML."""
    text = json.dumps(tree).encode()

    assert tree == parse_json(text) == read(text, "json").value
    assert tree == parse_yaml(text)


@settings(deadline=None)
@given(raw=st.binary(max_size=200))
def test_garbage_never_crashes(raw: bytes) -> None:
    """Any bytes are read, or refused with an error of ours."""
    for parse in (parse_json, parse_yaml, lambda raw: read(raw, "json")):
        with suppress(Malformed, InvalidInput):
            check_plain(parse(raw))


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.sampled_from("ab01.e-+:,[]{}&*!|>'\"\\#%\n\t ~<"), max_size=25))
def test_almost_yaml_never_crashes(text: str) -> None:
    """Any text is read, or refused with an error of ours."""
    for language in ("json", "yaml"):
        with suppress(Malformed, InvalidInput):
            read(text.encode(), language)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        ("1E5", 100000.0),
        ("1.e-3", 0.001),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1" * 30, int("1" * 30)),
        ("~", None),
        ("", None),
        ("TRUE", True),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01 12:00:00", "2026-01-01 12:00:00"),
        ("yes", "yes"),
        ("no", "no"),
        ("Off", "Off"),
        ("1e", "1e"),
        ("=", "="),
        ("'1e-3'", "1e-3"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        (r'"\ud83d\ude00"', "😀"),
    ],
)
def test_yaml_scalars(text: str, value: Any) -> None:
    """Scalars are those of YAML 1.2's core schema."""
    found = parse_yaml(f"a: {text}".encode())["a"]

    assert value == found
    assert type(value) is type(found)


def test_keys_are_texts() -> None:
    """A key stands for itself, as in JSON: `no`, `1e3` and `0` are texts."""
    assert {"no": 1, "1e3": 2, "0": 3, "true": 4, "~": 5} == parse_yaml(
        b"no: 1\n1e3: 2\n0: 3\ntrue: 4\n~: 5"
    )


def test_merge_and_alias() -> None:
    """Anchors, aliases and merge keys work within bounds."""
    found = parse_yaml(b"a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]")

    assert found == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]}


@pytest.mark.parametrize("inner", ["x: 9, <<: *a", "<<: *a, x: 9", "<<: [{x: 9}, *a]"])
def test_what_is_written_wins_over_what_is_merged(inner: str) -> None:
    """A mapping's own keys, and of several merged mappings the first, decide."""
    found = parse_yaml(f"a: &a {{x: 1, z: 2}}\nb: {{{inner}}}".encode())

    assert found["b"] == {"x": 9, "z": 2}


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


def test_a_document_has_a_bounded_number_of_values() -> None:
    """More than a study can need is refused while it is read, wherever the values stand."""
    for text in ("[" + "1," * 20_000 + "]", "- 1\n" * 20_000, "{" + "a: 1, " * 20_000 + "}"):
        with pytest.raises(Malformed, match="it holds more than 10000 values: not a study"):
            parse_yaml(text.encode())


@pytest.mark.parametrize("opening", ["[", "{", "[{", "{[", "- ["])
def test_brackets_without_end_are_read_no_further_than_they_may_nest(opening: str) -> None:
    """A reader that looks ahead must not look at all of them: it is told by where it stops."""
    with pytest.raises(Malformed, match="nested more than 64 levels") as caught:
        parse_yaml((opening * (100_000 // len(opening))).encode())
    assert (caught.value.line, (caught.value.column or 0) < 400) == (1, True)


@pytest.mark.parametrize("raw", [b"a: &a [*a]", b"&a {b: *a}", b"&a [&b [*a, *b]]", b"&a {<<: *a}"])
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
    for parse in (parse_json, lambda raw: read(raw, "json")):
        with pytest.raises(Malformed):
            parse(opening * 20_000)


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        ("a: 1\na: 2", "yaml", "line 2, column 1: a is given twice, first in line 1"),
        (
            "space:\n  optimizer.lr: 1\n  b: 2\n  'optimizer.lr': 3",
            "yaml",
            "line 4, column 3: space.optimizer.lr is given twice, first in line 2",
        ),
        ("- {k: 1, k: 2}", "yaml", "line 1, column 10: 0.k is given twice"),
        ("1: a\n'1': b", "yaml", "line 2, column 1: 1 is given twice"),
        (
            '{"a": [{}, {"k": "}", "\\u006b": 2}]}',
            "json",
            "line 1, column 23: a.1.k is given twice",
        ),
        ('{"a": 1,\n "b": {"a": 2},\n "a": 3}', "json", "line 3, column 2: a is given twice"),
    ],
)
def test_doubled_key(text: str, language: Language, message: str) -> None:
    """A key that is given twice is a slip of the user, not a choice of the parser."""
    with pytest.raises(Malformed) as caught:
        read(text.encode(), language)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "line 1, column 9: it is not YAML"),
        ("a:\n\tb: 1", "line 2, column 1: it is not YAML: a tab is not allowed here"),
        ("a: 1\n---\nb: 2", "line 2, column 1: a second document begins here"),
        ("a: 1\nb: !!timestamp 2026-01-01", "line 2, column 4: the tag"),
        ("a: !!python/object:os.system x", "line 1, column 4: the tag"),
        ("a: !!set {x}", "line 1, column 4: the tag"),
        ("a: !!int x", "line 1, column 4: 'x' is not a YAML int"),
        ("? [1]\n: 2", "line 1, column 3: a key must be a text"),
        ("?\n: 2", "line 1, column 2: a key is missing"),
        ("a: {<<: 1}", "line 1, column 9: `<<` takes a mapping"),
        ("a: *nowhere", "line 1, column 4: it is not YAML"),
        ("ok: 1\na: \x07", "line 2, column 4: the character U+0007"),
        ("a: " + "9" * 5000, "line 1, column 4: "),
    ],
)
def test_what_is_not_yaml_is_reported_with_its_place(text: str, message: str) -> None:
    """Line and column, and what to do, stand in the message."""
    with pytest.raises(Malformed) as caught:
        read(text.encode(), "yaml")

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(("text", "language"), [("a: ü", "yaml"), ('{"a": "ü"}', "json")])
def test_byte_order_marks(codec: str, text: str, language: Language) -> None:
    """A text is UTF-8, or what its byte order mark says."""
    assert {"a": "ü"} == read(text.encode(codec), language).value


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("a: 1\nb: ü".encode("latin-1"), "line 2 holds bytes that are not UTF-8"),
        ("a: 1".encode("utf-16-le"), "line 1 holds a NUL character"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1 holds bytes"),
    ],
)
@pytest.mark.parametrize("language", ["json", "yaml"])
def test_other_encodings(raw: bytes, message: str, language: Language) -> None:
    """What is not UTF-8 is told with its line."""
    with pytest.raises(Malformed, match=message):
        read(raw, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("space: {lr: {float: [0.1,\n .nan]}}", "yaml"),
        ("space: {lr: {float: [0.1,\n -.inf]}}", "yaml"),
        ("space: {lr: {float: [0.1,\n 1e999]}}", "yaml"),
        ('{"space": {"lr": {"float": [0.1,\n NaN]}}}', "json"),
        ('{"space": {"lr": {"float": [0.1,\n -Infinity]}}}', "json"),
        ('{"space": {"lr": {"float": [0.1,\n 1e999]}}}', "json"),
    ],
)
def test_numbers_that_are_none_are_located(text: str, language: Language) -> None:
    """NaN, an infinity and an overflow are named with their path, line and column."""
    with pytest.raises(InvalidInput) as caught:
        read(text.encode(), language)
    (problem,) = caught.value.problems

    assert ("space", "lr", "float", 1) == problem.location
    assert "line 2, column 2" == problem.source
    assert "is not a finite number" in problem.message


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1" * 400 + b".0", b"NaN", b"-Infinity"])
def test_overflowing_number(number: bytes) -> None:
    """A number too large for a float is named with its place, never read as infinity."""
    with pytest.raises(InvalidInput) as caught:
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
    with pytest.raises(InvalidInput) as caught:
        check_plain(value)

    assert [problem.location for problem in caught.value.problems] == [place]
