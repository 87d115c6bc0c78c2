"""Forms of the dashboard: their fields, and where to go after them."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import Request

from api.documents import read
from tuner.errors import Malformed
from tuner.spec.documents import MAX_BYTES

LIMIT = 8_192
TEXT_LIMIT = 3 * MAX_BYTES["yaml"] + LIMIT  # a sign takes up to three in a form


async def form_fields(request: Request) -> dict[str, str]:
    """Fields of a small urlencoded form, the last value of each. Raises TooLarge, Malformed."""
    return _last(await form_lists(request))


async def form_lists(request: Request) -> dict[str, list[str]]:
    """Fields of a small urlencoded form with all of their values. Raises TooLarge, Malformed."""
    found = await _lists(request, LIMIT)
    if any("\0" in text for name, values in found.items() for text in (name, *values)):
        raise Malformed("a field of the form holds a NUL character; remove it")
    return found


async def text_fields(request: Request) -> dict[str, str]:
    """Fields of a form that holds a whole study. Raises TooLarge, Malformed."""
    return _last(await _lists(request, TEXT_LIMIT))


async def _lists(request: Request, limit: int) -> dict[str, list[str]]:
    body = await read(request, limit)
    return parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)


def _last(lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in lists.items()}


def local_path(target: str | None) -> str:
    """The path to go to after login; `/` unless it is a plain path on this server."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return "/"
    return target if target.isprintable() and "\\" not in target else "/"
