"""Bodies that callers send: JSON or YAML of bounded size and depth, plain values only."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.errors import UnsupportedMedia
from tuner.errors import Malformed, TooLarge
from tuner.spec import documents

MEBIBYTE = 2**20
JSON = re.compile(r"application/([\w.+-]+\+)?json")
YAML = re.compile(r"(application|text)/([\w.+-]+\+|x-)?yaml")


async def read(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it passes `limit` bytes, or says that it will.
        UnsupportedMedia: it is packed, and might be any size when it is unpacked.
        TooSlow: it stands still.
        Malformed: it broke off.
    """
    packed = request.headers.get("content-encoding", "").strip().lower()
    if packed not in {"", "identity"}:
        raise UnsupportedMedia(
            f"content encoding '{packed}' is not known; send the body as it is, without one"
        )
    if announced(request) > limit:
        raise _too_large(limit)
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise Malformed("the body broke off") from None
    return bytes(received)


def announced(request: Request) -> int:
    """How many bytes the body has, as far as the caller says it; 0 where that is not said."""
    said = request.headers.get("content-length", "")
    return int(said[:20]) if said.isdecimal() else 0


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes; send less at once")


async def document(request: Request) -> Callable[[], object]:
    """A study, as JSON or YAML by its content type: read now, and parsed when it is called.

    Raises:
        UnsupportedMedia, TooLarge, Malformed: it cannot be read.
        InvalidInput: it holds values that JSON does not know.
    """
    kind = content_type(request)
    if JSON.fullmatch(kind):
        return partial(_parsed, await read(request, documents.MAX_BYTES["json"]), "json")
    if YAML.fullmatch(kind):
        return partial(_parsed, await read(request, documents.MAX_BYTES["yaml"]), "yaml")
    raise UnsupportedMedia(
        f"content type '{kind}' is not known; send application/json or application/yaml"
    )


def _parsed(raw: bytes, language: documents.Language) -> Any:
    return documents.read(raw, language).value


def content_type(request: Request) -> str:
    """What the body says that it is, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
