"""Forms of the dashboard: their fields, and where to go after them."""

from urllib.parse import parse_qs

from fastapi import Request

from api.errors import TooLarge

LIMIT = 8_192


async def form_fields(request: Request) -> dict[str, str]:
    """Fields of a small urlencoded form, the last value of each. Raises TooLarge."""
    return {name: values[-1] for name, values in (await form_lists(request)).items()}


async def form_lists(request: Request) -> dict[str, list[str]]:
    """Fields of a small urlencoded form with all of their values. Raises TooLarge."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            raise TooLarge(f"a form may have at most {LIMIT} bytes")
    return parse_qs(body.decode("utf-8", errors="replace"), keep_blank_values=True)


def local_path(target: str | None) -> str:
    """The path to go to after login; `/` unless it is a plain path on this server."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return "/"
    return target if target.isprintable() and "\\" not in target else "/"
