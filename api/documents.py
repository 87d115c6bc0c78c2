"""Bodies that callers send: JSON or YAML of bounded size and depth, plain values only."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.errors import TooLarge, UnsupportedMedia
from tuner.errors import Malformed
from tuner.spec import documents
from tuner.spec.documents import parse_json
from tuner.spec.validation import invalid

M = TypeVar("M", bound=BaseModel)

MEBIBYTE = 2**20
_LONG = MEBIBYTE // 4  # bytes: longer bodies are parsed off the event loop
_JSON = re.compile(r"application/([\w.+-]+\+)?json")
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
        InvalidInput: it holds values that JSON does not know.
    """
    kind = _content_type(request)
    if _JSON.fullmatch(kind):
        return partial(_parsed, await read(request, documents.MAX_BYTES["json"]), "json")
    if _YAML.fullmatch(kind):
        return partial(_parsed, await read(request, documents.MAX_BYTES["yaml"]), "yaml")
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
        raise invalid(error, model) from None


def _parsed(raw: bytes, language: documents.Language) -> Any:
    return documents.read(raw, language).value


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
