"""Bodies that callers send: JSON or YAML of bounded size and depth, plain values only."""

import math
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import yaml
from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.errors import Malformed, TooLarge, UnsupportedMedia
from tuner.errors import InvalidSpec, Problem

M = TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]

MEBIBYTE = 2**20
MAX_DEPTH = 64
MAX_NODES = 100_000
_LONG = MEBIBYTE // 4  # bytes: longer bodies are parsed off the event loop
_JSON = re.compile(r"application/([\w.+-]+\+)?json")
# What may hold an infinity (`1e400` overflows) or a NUL; only then is every value looked at.
_SUSPICIOUS = re.compile(rb"\\u0000|[eE]\+?[0-9]{3}|[0-9]{200}")
_YAML = re.compile(r"(application|text)/([\w.+-]+\+|x-)?yaml")


async def read(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: as soon as it passes `limit` bytes.
        Malformed: it broke off.
    """
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise TooLarge(f"the body is larger than {limit} bytes; send less at once")
    except ClientDisconnect:
        raise Malformed("the body broke off") from None
    return bytes(received)


async def document(request: Request) -> Callable[[], object]:
    """A study, as JSON or YAML by its content type: read now, and parsed when it is called.

    Raises:
        UnsupportedMedia, TooLarge, Malformed: it cannot be read.
        InvalidSpec: it holds values that JSON does not know.
    """
    kind = _content_type(request)
    if _JSON.fullmatch(kind):
        return partial(parse_json, await read(request, MEBIBYTE))
    if _YAML.fullmatch(kind):
        return partial(parse_yaml, await read(request, MEBIBYTE // 8))
    raise UnsupportedMedia(
        f"content type '{kind}' is not known; send application/json or application/yaml"
    )


def body(
    model: type[M], *, limit: int = MEBIBYTE, scrub: bool = False
) -> Callable[[Request], Awaitable[M]]:
    """A dependency that reads a JSON body of this model.

    Cheaper than FastAPI's own parsing, of bounded size, and strict about NaN. It raises what
    `document` raises. `scrub` replaces NUL characters, which databases refuse, for texts that
    nobody wrote by hand: the tail of a log must never keep an outcome from being stored.
    """

    async def parsed(request: Request) -> M:
        kind = _content_type(request)
        if not _JSON.fullmatch(kind):
            raise UnsupportedMedia(f"content type '{kind}' is not known; send application/json")
        raw = await read(request, limit)
        if scrub:
            raw = raw.replace(b"\\u0000", b"\\ufffd")
        if len(raw) > _LONG:
            return await run_in_threadpool(_validated, model, raw)
        return _validated(model, raw)

    parsed.__name__ = f"parsed_{model.__name__}"
    return parsed


def _validated(model: type[M], raw: bytes) -> M:
    try:
        return model.model_validate(parse_json(raw))
    except ValidationError as error:
        raise InvalidSpec(
            [Problem(tuple(item["loc"]), item["msg"]) for item in error.errors()]
        ) from None


def parse_json(raw: bytes) -> Any:
    """Strict JSON: no NaN, no infinity, bounded depth, no NUL characters.

    Raises:
        Malformed: it is not JSON.
        InvalidSpec: a number or a text that cannot be stored.
    """
    try:
        tree = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    if _SUSPICIOUS.search(raw):
        check_plain(tree)
    return tree


def parse_yaml(raw: bytes) -> Any:
    """YAML as JSON's values: numbers as in YAML 1.2, aliases within bounds.

    Raises:
        Malformed: it is not YAML, too deep, or grows without bounds.
        InvalidSpec: it holds values that JSON does not know.
    """
    try:
        text = raw.decode("utf-8-sig")
        _check_depth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {})
        tree = loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Malformed(f"the body is not YAML that is read here: {reason}") from None
    check_plain(tree)
    return tree


class _Loader(yaml.SafeLoader):
    """The safe loader, but `1e-3` is a number and `2026-01-01` is a text, as in JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own class attribute
        first: [(tag, rule) for tag, rule in rules if not tag.endswith((":timestamp", ":float"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$
           |[-+]?[0-9]+[eE][-+]?[0-9]+$
           |[-+]?\.(?:inf|Inf|INF)$
           |\.(?:nan|NaN|NAN)$""",
        re.VERBOSE,
    ),
    list("-+0123456789."),
)


def _check_depth(text: str) -> None:
    """Refuse nesting that would exhaust the stack, before anything recursive looks at it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values that a node stands for once its aliases are followed."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_NODES + 1  # met again on the way down, it holds itself
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        size = 1 + sum(_size(part, known) for pair in node.value for part in pair)
    elif isinstance(node, yaml.SequenceNode):
        size = 1 + sum(_size(item, known) for item in node.value)
    else:
        size = 1
    if size > MAX_NODES:
        raise ValueError(f"its aliases grow to more than {MAX_NODES} values")
    known[id(node)] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
            if key.value in seen:
                raise ValueError(f"line {key.start_mark.line + 1} says '{key.value}' again")
            seen.add(key.value)


def check_plain(tree: object) -> None:
    """Raise InvalidSpec for every value that JSON or a database cannot hold, with its place."""
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
        raise InvalidSpec(sorted(problems, key=str))


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


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
