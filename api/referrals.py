"""Which page an address or a request belongs to: forms are sent to addresses that show none."""

import re
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from api.prefix import prefix_of

_PAGES = re.compile(r"/|/(compare|login|new|queue|workers)|/studies/[^/]+(/images|/trials/\d+)?")
_SAFE = frozenset({"GET", "HEAD"})


def page_of(path: str) -> str:
    """The page that shows what an address changes: for `/studies/3/pause` it is `/studies/3`."""
    while path and not _PAGES.fullmatch(path):
        path = path.rpartition("/")[0]
    return path or "/"


def home_of(request: HTTPConnection) -> str:
    """The page that a request came from, as far as it is one of ours, or else belongs to.

    Its address begins behind the prefix and holds the page's query.
    """
    return _came_from(request) or page_of(request.scope["path"])


def here(request: HTTPConnection) -> str:
    """Where to go to see this again: the address itself, if it can be asked for, or its page."""
    url = request.url
    if request.scope["method"] not in _SAFE or url.path.startswith("/partials/"):
        return home_of(request)
    return url.path + (f"?{url.query}" if url.query else "")


def _came_from(request: HTTPConnection) -> str:
    try:
        given = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    if not given.netloc or given.netloc.lower() != request.headers.get("host", "").lower():
        return ""
    path, prefix = given.path, prefix_of(request)
    if path == prefix or path.startswith(f"{prefix}/"):
        path = path[len(prefix) :] or "/"
    if page_of(path) != path:
        return ""
    return path + (f"?{given.query}" if given.query else "")
